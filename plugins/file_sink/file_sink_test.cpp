#include <sys/resource.h>
#include <sys/stat.h>
#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "plugins/file_sink/lines_file.h"
#include "runner/config/plugin.h"
#include "runner/stage/begun_files.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin file_sink_plugin();
}

using namespace millrace;
using file_sink::LinesFile;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Batch reading(double humidity) {
  Batch batch;
  Record& r = batch.append();
  r.device = "porch";
  r.time = from_millis(1000);
  r.fields.push(batch.arena(), "humidity", Value::real(humidity));
  return batch;
}

std::unique_ptr<Sink> sink_of(test::TestHost& host, const fs::path& path, bool envelope, bool append = true) {
  config::Problems problems("test.yaml");
  config::Node node;
  node.kind = config::Node::Kind::map;
  auto put = [&](std::string key, std::string text) {
    config::Node value;
    value.kind = config::Node::Kind::scalar;
    value.text = std::move(text);
    node.entries.push_back({std::move(key), {}, std::move(value)});
  };
  put("path", path.string());
  put("envelope", envelope ? "true" : "false");
  put("append", append ? "true" : "false");
  auto make = file_sink_plugin().parse(node, problems);
  REQUIRE(make);
  return std::get<std::unique_ptr<Sink>>(make(host.context()));
}

}  // namespace

TEST_CASE("records become lines, with their envelope if asked") {
  auto host = test::TestHost::make();
  fs::path path = host->folder.path() / "out.jsonl";
  auto plain = sink_of(*host, path, false);
  REQUIRE(plain->connect());
  REQUIRE(plain->write(reading(50)));
  auto enveloped = sink_of(*host, path, true);
  REQUIRE(enveloped->connect());
  REQUIRE(enveloped->write(reading(51)));
  CHECK(text_of(path) ==
        "{\"humidity\":50.0}\n"
        R"({"device":"porch","time":1000,"kind":"telemetry","fields":{"humidity":51.0},"meta":{}})"
        "\n");
}

TEST_CASE("a torn last line is cut off, a whole one without line feed is kept") {
  test::TempFolder folder;
  auto [before, after] = GENERATE(table<std::string, std::string>({
      {"{\"a\":1}\n", "{\"a\":1}\n"},
      {"{\"a\":1}\n{\"a\":", "{\"a\":1}\n"},
      {"{\"a\":", ""},
      {"{\"a\":1}\n{\"a\":2}", "{\"a\":1}\n{\"a\":2}\n"},
      {"{\"a\":1}\n" + std::string(70'000, '\0'), "{\"a\":1}\n"},
      {"{\"a\":1}\n{\"s\":\"" + std::string(50'000, 'x'), "{\"a\":1}\n"},
  }));
  fs::path path = folder.write("out.jsonl", before);
  LinesFile file({path});
  REQUIRE(file.open());
  CHECK(text_of(path) == after);
  REQUIRE(file.write("{\"b\":1}\n"));
  CHECK(text_of(path) == after + "{\"b\":1}\n");
}

TEST_CASE("append: false empties the file at the start, and only then") {
  test::TempFolder folder;
  fs::path path = folder.write("out.jsonl", "{\"old\":1}\n");
  LinesFile file({path, false});
  REQUIRE(file.open());
  REQUIRE(file.write("{\"a\":1}\n"));
  REQUIRE(file.open());  // as after an error
  REQUIRE(file.write("{\"a\":2}\n"));
  CHECK(text_of(path) == "{\"a\":1}\n{\"a\":2}\n");
}

TEST_CASE("append: false leaves what this run has begun to the stage's successor") {
  auto host = test::TestHost::make();
  BegunFiles begun;
  host->provide(begun);
  fs::path path = host->folder.write("out.jsonl", "{\"old\":1}\n");
  auto first = sink_of(*host, path, false, false);
  REQUIRE(first->connect().has_value());
  REQUIRE(first->write(reading(50)).has_value());
  auto successor = sink_of(*host, host->folder.path() / "." / "out.jsonl", true, false);
  REQUIRE(successor->connect().has_value());
  CHECK(text_of(path) == "{\"humidity\":50.0}\n");

  fs::path other = host->folder.write("other.jsonl", "{\"old\":1}\n");
  auto elsewhere = sink_of(*host, other, false, false);
  REQUIRE(elsewhere->connect().has_value());
  CHECK(text_of(other).empty());
}

TEST_CASE("after a rotation lines go to a new file") {
  test::TempFolder folder;
  fs::path path = folder.path() / "out.jsonl";
  LinesFile file({path, true, true});
  REQUIRE(file.open());
  REQUIRE(file.write("{\"a\":1}\n"));
  fs::rename(path, folder.path() / "out.jsonl.1");
  REQUIRE(file.write("{\"a\":2}\n"));
  fs::remove(path);
  REQUIRE(file.write("{\"a\":3}\n"));
  CHECK(text_of(folder.path() / "out.jsonl.1") == "{\"a\":1}\n");
  CHECK(text_of(path) == "{\"a\":3}\n");
}

TEST_CASE("a batch that the disk takes only in part leaves no trace, and goes through later") {
  test::TempFolder folder;
  fs::path path = folder.path() / "out.jsonl";
  LinesFile file({path});
  REQUIRE(file.open());
  REQUIRE(file.write("{\"a\":1}\n"));

  // A limit on the size of files ends a write in its middle, as a full disk does.
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &unlimited) == 0);
  rlimit small = unlimited;
  small.rlim_cur = 12;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  auto refused = file.write("{\"a\":2}\n{\"a\":3}\n");
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &unlimited) == 0);

  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::unavailable);
  CHECK_THAT(refused.error().what, Catch::Contains("cannot write " + path.string()));
  CHECK(text_of(path) == "{\"a\":1}\n");
  REQUIRE(file.write("{\"a\":2}\n{\"a\":3}\n"));
  CHECK(text_of(path) == "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
}

TEST_CASE("a named pipe is refused: its reader could hold up everything, a stop too") {
  test::TempFolder folder;
  auto pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  LinesFile file({pipe});
  for (const Result<void>& refused : {file.preflight(), file.open()}) {
    REQUIRE(refused.has_error());
    CHECK(refused.error().kind == ErrorKind::invalid);
    CHECK(refused.error().what == pipe.string() + " is a pipe, no file: the plugin `console` writes there, with `path`");
  }
}

TEST_CASE("a full disk is waited for, and named") {
  LinesFile file({"/dev/full"});
  REQUIRE(file.open());
  auto refused = file.write("{}\n");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::unavailable);
  CHECK(refused.error().what == "cannot write /dev/full: the disk is full; make room and it goes on");
}

TEST_CASE("a path that cannot be written refuses the start") {
  test::TempFolder folder;
  auto no_folder = LinesFile({folder.path() / "none" / "out.jsonl"}).open();
  REQUIRE_FALSE(no_folder);
  CHECK(no_folder.error().kind == ErrorKind::invalid);
  CHECK_THAT(no_folder.error().what, Catch::EndsWith("No such file or directory; make the folder first"));
  auto is_folder = LinesFile({folder.path()}).open();
  REQUIRE_FALSE(is_folder);
  CHECK(is_folder.error().kind == ErrorKind::invalid);
}
