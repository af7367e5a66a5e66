#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "plugins/console/open_file.h"
#include "plugins/console/pipe.h"
#include "runner/config/plugin.h"
#include "runner/config/yaml.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_host.h"

using namespace millrace;

namespace millrace {
Plugin console_plugin();
}

namespace {

struct Ends {
  int read = -1, write = -1;

  Ends() {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    read = fds[0];
    write = fds[1];
  }
  ~Ends() {
    if (read >= 0) ::close(read);
    if (write >= 0) ::close(write);
  }
};

std::string numbered_lines(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += "{\"n\":" + std::to_string(i) + "}\n";
  return lines;
}

}  // namespace

TEST_CASE("what is larger than the pipe goes through whole") {
  Ends ends;
  std::string lines = numbered_lines(50'000) + std::string(20'000, 'x') + "\n";
  std::string got;
  std::jthread reader([&] {
    char buffer[5000];
    for (ssize_t n; (n = ::read(ends.read, buffer, sizeof buffer)) > 0;) got.append(buffer, static_cast<std::size_t>(n));
  });
  std::stop_source stop;
  CHECK(console::Pipe(ends.write, "the pipe").write(lines, stop.get_token()));
  ::close(std::exchange(ends.write, -1));
  reader.join();
  CHECK(got == lines);
}

TEST_CASE("a reader that does not read cannot hold up a stop") {
  Ends ends;
  std::stop_source stop;
  std::string lines = numbered_lines(50'000);
  std::jthread stopper([&] {
    // The pipe is full, or nearly, when no byte can be added without the writer waiting.
    int held = 0;
    while (::ioctl(ends.read, FIONREAD, &held) == 0 && held < 60'000) std::this_thread::yield();
    stop.request_stop();
  });
  auto written = console::Pipe(ends.write, "the pipe").write(lines, stop.get_token());
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == ErrorKind::unavailable);
}

TEST_CASE("a reader that has gone is an error, not the end of the process") {
  std::signal(SIGPIPE, SIG_IGN);  // as the runner does
  Ends ends;
  ::close(std::exchange(ends.read, -1));
  std::stop_source stop;
  auto written = console::Pipe(ends.write, "the pipe").write("{}\n", stop.get_token());
  REQUIRE_FALSE(written);
  CHECK(written.error().what == "nobody reads the pipe any more");
}

TEST_CASE("a path takes the lines in place of standard output, behind what is there") {
  test::TempFolder folder;
  folder.write("out.jsonl", "{\"n\":0}\n");
  auto host = test::TestHost::make("console");
  config::Problems problems{folder.path() / "p.yaml"};
  auto node = config::parse_yaml("plugin: console\npath: out.jsonl\n", problems);
  auto make = console_plugin().parse(*node, problems);
  REQUIRE(problems.empty());
  auto sink = std::get<std::unique_ptr<Sink>>(make(host->context()));
  REQUIRE(sink->connect().has_value());
  Batch batch;
  Record& record = batch.append();
  record.fields.push(batch.arena(), "n", Value::integer(1));
  REQUIRE(sink->write(batch).has_value());
  std::ostringstream got;
  got << std::ifstream(folder.path() / "out.jsonl").rdbuf();
  CHECK(got.str() == "{\"n\":0}\n{\"n\":1}\n");
}

TEST_CASE("a named pipe without a reader does not hold up the stage, a path without a folder refuses the start") {
  test::TempFolder folder;
  auto pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  auto opened = console::OpenFile::open(pipe);
  REQUIRE(opened.has_error());
  CHECK(opened.error().kind == ErrorKind::unavailable);
  auto nowhere = console::OpenFile::open(folder.path() / "none" / "out");
  REQUIRE(nowhere.has_error());
  CHECK(nowhere.error().kind == ErrorKind::invalid);
}
