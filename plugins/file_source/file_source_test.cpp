#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "runner/config/plugin.h"
#include "runner/stage/json.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin file_source_plugin();
}

using namespace millrace;
namespace fs = std::filesystem;

namespace {

config::Node scalar(std::string text) {
  config::Node node;
  node.kind = config::Node::Kind::scalar;
  node.text = std::move(text);
  return node;
}

/// A source over a file of its own folder, and what it has said.
struct Running {
  std::shared_ptr<test::TestHost> host = test::TestHost::make();
  fs::path path;
  std::unique_ptr<Source> source;
  std::size_t records = 0;
  std::size_t largest = 0;
  bool over = false;

  Running(const std::string& name, const std::vector<std::pair<std::string, std::string>>& options)
      : path(host->folder.path() / name) {
    config::Problems problems("test.yaml");
    config::Node node;
    node.kind = config::Node::Kind::map;
    node.entries.push_back({"path", {}, scalar(path.string())});
    for (const auto& [key, value] : options) node.entries.push_back({key, {}, scalar(value)});
    auto make = file_source_plugin().parse(node, problems);
    for (const auto& p : problems.list()) UNSCOPED_INFO(p.what);
    REQUIRE(make);
    source = std::get<std::unique_ptr<Source>>(make(host->context()));
  }

  void put(std::string_view text) const { std::ofstream(path, std::ios::binary | std::ios::app) << text; }

  /// All that is there now: until the source is idle or over.
  std::string take() {
    std::string out;
    for (;;) {
      auto batch = source->poll();
      if (!batch) {
        over = batch.error().kind == ErrorKind::finished;
        if (!over) out += "!! " + batch.error().what;
        return out;
      }
      for (const Record& r : batch->records) {
        append_json(out, r.fields.view());
        out += '\n';
      }
      records += batch->size();
      largest = std::max(largest, batch->bytes());
      if (batch->empty() && source->next_tick().value() > host->time.now()) return out;
    }
  }
};

}  // namespace

TEST_CASE("a file is read to its end, once") {
  Running run("in.jsonl", {});
  run.put("{\"a\":1}\n\n[{\"a\":2},{\"a\":3}]\r\n{\"a\":4}");
  REQUIRE(run.source->connect());
  CHECK(run.take() == "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
  CHECK(run.over);
}

TEST_CASE("device and time come from fields, arrival from the clock") {
  Running run("in.jsonl", {{"device", "deviceId"}, {"time", "ts"}});
  run.host->time.set(from_millis(5000));
  run.put("{\"deviceId\":\"porch\",\"ts\":1500}\n{\"ts\":\"1970-01-01T00:00:02.5Z\"}\n{\"deviceId\":7}\n");
  REQUIRE(run.source->connect());
  Batch batch = run.source->poll().value();
  REQUIRE(batch.size() == 3);
  CHECK(batch.records[0].device == "porch");
  CHECK(batch.records[0].time == from_millis(1500));
  CHECK(batch.records[0].arrival == from_millis(5000));
  CHECK(batch.records[1].device.empty());
  CHECK(batch.records[1].time == from_millis(2500));
  CHECK(batch.records[2].device == "7");
  CHECK(batch.records[2].time == from_millis(5000));
  CHECK(run.host->counter("without_time").value() == 1);
}

TEST_CASE("bad lines go to the dead letters with their line number") {
  Running run("in.jsonl", {});
  std::string text;
  for (int i = 1; i <= 5000; ++i) text += i % 1000 == 7 ? "{\"a\":\n" : "{\"a\":\"" + std::string(40, 'x') + "\"}\n";
  text += "\"never closed\n{\"b\":1}\n";
  run.put(text);
  REQUIRE(run.source->connect());
  run.take();
  CHECK(run.over);
  CHECK(run.records == 5000 - 5 + 1);
  REQUIRE(run.host->rejects.size() == 6);
  for (std::size_t i = 0; i < 5; ++i)
    CHECK_THAT(run.host->rejects[i].what,
               Catch::StartsWith(run.path.string() + ":" + std::to_string(i * 1000 + 7) + ": not JSON"));
  CHECK_THAT(run.host->rejects[5].what, Catch::StartsWith(run.path.string() + ":5001: not JSON"));
}

TEST_CASE("a line that is too long is skipped without being held") {
  std::string format = GENERATE(as<std::string>{}, "jsonl", "csv");
  Running run("in." + format, {{"longest_line", "100KiB"}});
  std::string good = format == "csv" ? "a\n1\n" : "{\"a\":1}\n";
  run.put(good + std::string(1'000'000, '[') + "\n" + (format == "csv" ? "2\n" : "{\"a\":2}\n") + std::string(300'000, '['));
  REQUIRE(run.source->connect());
  CHECK(run.take() == "{\"a\":1}\n{\"a\":2}\n");
  CHECK(run.over);
  REQUIRE(run.host->rejects.size() == 2);
  int line = format == "csv" ? 3 : 2;
  CHECK(run.host->rejects[0].what ==
        run.path.string() + ":" + std::to_string(line) + ": longer than `longest_line`, 100KiB: skipped");
  CHECK(run.host->rejects[1].what ==
        run.path.string() + ":" + std::to_string(line + 2) + ": longer than `longest_line`, 100KiB: skipped");
}

TEST_CASE("batches stay small however long the file") {
  Running run("in.jsonl", {});
  std::string text;
  for (int i = 0; i < 20'000; ++i)
    text += "{\"deviceId\":\"AZ3166-1\",\"messageId\":" + std::to_string(i) + ",\"temperature\":23.41}\n";
  run.put(text);
  REQUIRE(run.source->connect());
  CHECK(run.take() == text);
  CHECK(run.largest < 1'000'000);
}

TEST_CASE("a followed file grows, and a line is read when it is whole") {
  Running run("in.jsonl", {{"follow", "true"}});
  run.put("{\"a\":1}\n{\"a\"");
  REQUIRE(run.source->connect());
  CHECK(run.take() == "{\"a\":1}\n");
  CHECK_FALSE(run.over);
  CHECK(run.source->next_tick() == run.host->time.now() + 50ms);
  run.put(":2}");
  CHECK(run.take().empty());
  run.put("\n");
  CHECK(run.take() == "{\"a\":2}\n");
}

TEST_CASE("a followed file that is truncated is read from its start") {
  Running run("in.csv", {{"follow", "true"}});
  run.put("a,b\n1,2\n3,4\n");
  REQUIRE(run.source->connect());
  CHECK(run.take() == "{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":4}\n");
  fs::resize_file(run.path, 0);
  run.put("b\n5\n");
  std::string after = run.take();
  CHECK(after + run.take() == "{\"b\":5}\n");
  CHECK(run.host->logs().size() == 1);
}

TEST_CASE("a followed file that is rotated is read to its end, then the new one") {
  Running run("in.jsonl", {{"follow", "true"}});
  run.put("{\"a\":1}\n");
  REQUIRE(run.source->connect());
  CHECK(run.take() == "{\"a\":1}\n");
  fs::path old = run.host->folder.path() / "in.jsonl.1";
  fs::rename(run.path, old);
  CHECK(run.take().empty());
  std::ofstream(old, std::ios::app) << "{\"a\":2}\n{\"a\":3}";
  run.put("{\"a\":4}\n");
  std::string after;
  for (int i = 0; i < 4; ++i) after += run.take();
  CHECK(after == "{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n");
}

TEST_CASE("a file that is not there refuses the start, unless it is followed") {
  Running once("in.jsonl", {});
  auto missing = once.source->connect();
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == ErrorKind::invalid);
  CHECK(missing.error().what == "cannot read " + once.path.string() + ": No such file or directory");

  Running follow("in.jsonl", {{"follow", "true"}});
  auto later = follow.source->connect();
  REQUIRE_FALSE(later);
  CHECK(later.error().kind == ErrorKind::unavailable);
  follow.put("{\"a\":1}\n");
  REQUIRE(follow.source->connect());
  CHECK(follow.take() == "{\"a\":1}\n");
}

TEST_CASE("connecting again goes on where reading was") {
  Running run("in.jsonl", {{"follow", "true"}});
  run.put("{\"a\":1}\n{\"a\"");
  REQUIRE(run.source->connect());
  CHECK(run.take() == "{\"a\":1}\n");
  REQUIRE(run.source->connect());
  run.put(":2}\n");
  CHECK(run.take() == "{\"a\":2}\n");
}

TEST_CASE("CSV starts behind a byte order mark, and its dead letters count lines within quotes") {
  Running run("in.csv", {});
  run.put(
      "\xEF\xBB\xBF"
      "a,b\n1,\"x\ny\"\n1,2,3\n");
  REQUIRE(run.source->connect());
  CHECK(run.take() == "{\"a\":1,\"b\":\"x\\ny\"}\n");
  REQUIRE(run.host->rejects.size() == 1);
  CHECK_THAT(run.host->rejects[0].what, Catch::StartsWith(run.path.string() + ":4: the row has 3 fields"));
}
