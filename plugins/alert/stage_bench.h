#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/config/plugin.h"
#include "runner/config/yaml.h"
#include "runner/stage/alert_desk.h"
#include "runner/stage/json.h"
#include "runner/store/history_reader.h"
#include "runner/store/store.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin alert_plugin();
}

// What the tests of the whole stage share.
namespace millrace::alert::test {

using millrace::test::TempFolder;
using millrace::test::TestHost;

inline std::function<AnyStage(Context)> parse(const std::string& yaml, config::Problems& problems) {
  auto node = config::parse_yaml(yaml, problems);
  REQUIRE(node);
  return alert_plugin().parse(*node, problems);
}

inline std::unique_ptr<Transform> make(const std::string& yaml, Context context) {
  config::Problems problems("alert.yaml");
  auto constructor = parse(yaml, problems);
  for (const auto& problem : problems.list()) FAIL(problem.text());
  return std::get<std::unique_ptr<Transform>>(constructor(std::move(context)));
}

inline std::string problems_of(const std::string& yaml) {
  config::Problems problems("alert.yaml");
  parse(yaml, problems);
  std::string all;
  for (const auto& problem : problems.list()) all += problem.text() + "\n";
  return all;
}

struct Reading {
  std::string device;
  std::int64_t at_ms = 0;
  double humidity = 0;
  std::uint64_t sequence = 0;
};

inline Batch batch_of(const std::vector<Reading>& readings) {
  Batch batch;
  Arena& arena = batch.arena();
  for (const Reading& reading : readings) {
    Record& r = batch.append();
    r.device = arena.copy(reading.device);
    r.time = r.arrival = from_millis(reading.at_ms);
    r.fields.push(arena, "humidity", Value::real(reading.humidity));
    r.source = reading.sequence == 0 ? 0 : 1;
    r.sequence = reading.sequence;
  }
  return batch;
}

inline std::string text(const Record& record, std::string_view name) {
  const Value* value = record.fields.find(name);
  if (!value) return "(none)";
  if (value->type() == Type::string) return std::string(value->as_text());
  std::string json;
  append_json(json, *value);
  return json;
}

/// What a desk answers: at once, as commits are inline here.
template <class T, class Call>
Result<T> answer_of(Call call) {
  std::optional<Result<T>> answer;
  call([&](Result<T> said) { answer = std::move(said); });
  REQUIRE(answer);
  return *answer;
}

/// One stage in virtual time over a history in memory.
class Bench {
 public:
  explicit Bench(std::string yaml) : yaml_(std::move(yaml)) {
    host->provide(*store);
    start();
  }

  std::shared_ptr<TestHost> host = TestHost::make("climate");
  std::unique_ptr<store::Store> store = store::Store::in_memory().value();
  std::unique_ptr<Transform> stage;
  std::vector<std::string> seen;  ///< "kind key from>to level reason" of what was emitted
  Batch last;

  void start() {
    stage = make(yaml_, host->context());
    REQUIRE(stage->connect().has_value());
  }

  /// Goes on as what another version of the file says.
  void start_as(std::string yaml) {
    yaml_ = std::move(yaml);
    start();
  }

  /// Begins anew over a history in a file, which timeline() reads.
  void use_file() {
    stage.reset();
    store::Store::Options options;
    options.inline_commits = true;
    store = store::Store::open(host->folder.path(), options).value();
    host->provide(*store);
    start();
  }

  std::vector<store::Event> timeline(std::string_view incident) {
    return store::HistoryReader::open(host->folder.path()).value()->timeline(incident).value();
  }

  void feed(const std::vector<Reading>& readings) {
    if (!readings.empty()) pass(from_millis(readings.back().at_ms));
    note(stage->process(batch_of(readings)).value());
  }

  /// Lets the time pass, with a tick at every moment that the stage asks for.
  void pass(Time until) {
    for (auto next = stage->next_tick(); next && *next < until; next = stage->next_tick()) {
      host->time.set(std::max(*next, host->time.now()));
      note(stage->tick(host->time.now()).value());
    }
    host->time.set(std::max(until, host->time.now()));
    note(stage->tick(host->time.now()).value());
  }

  void note(Batch batch) {
    for (const Record& r : batch.records) {
      std::string line(r.kind);
      if (r.kind == kind::window)
        line += " " + text(r, "key") + " " + text(r, "start") + ".." + text(r, "end") + " " + text(r, "avg");
      else if (r.kind == kind::notification)
        line += " " + text(r, "type") + " " + text(r, "key") + " " + text(r, "message");
      else
        line += " " + text(r, "key") + " " + text(r, "from") + ">" + text(r, "to") + " " + text(r, "level") + " " +
                text(r, "reason");
      seen.push_back(line);
    }
    batch.ack.settle();
    if (!batch.empty()) last = std::move(batch);
  }

  Result<std::vector<Acknowledged>> acknowledge(const Acknowledgement& ack, Time at) {
    return answer_of<std::vector<Acknowledged>>(
        [&](auto answer) { desk<AlertDesk>().acknowledge(ack, at, std::move(answer)); });
  }
  Result<void> comment(const Remark& remark, Time at) {
    return answer_of<void>([&](auto answer) { desk<AlertDesk>().comment(remark, at, std::move(answer)); });
  }
  Result<millrace::Silence> silence(const millrace::Silence& wanted, Time at) {
    return answer_of<millrace::Silence>([&](auto answer) { desk<SilenceDesk>().silence(wanted, at, std::move(answer)); });
  }
  Result<std::vector<millrace::Silence>> unsilence(const millrace::Silence& which, Time at) {
    return answer_of<std::vector<millrace::Silence>>(
        [&](auto answer) { desk<SilenceDesk>().unsilence(which, at, std::move(answer)); });
  }

 private:
  template <class Desk>
  Desk& desk() {
    return dynamic_cast<Desk&>(*stage);
  }

  std::string yaml_;
};

using Lines = std::vector<std::string>;

inline const std::string jump = R"(
time: {late: 5s}
rules:
  humidity-jump:
    watch: {rise: humidity, within: 30s}
    above: 10
    clear: {below: 5}
    severity: warning
    repeat: 30m
    message: "{key}: humidity up {value:.1f} points in 30 s"
    labels: {room: attic}
)";

/// The types of the notifications that it has emitted, in order.
inline Lines notifications(const Bench& bench) {
  Lines lines;
  for (const std::string& line : bench.seen)
    if (line.starts_with("notification")) lines.push_back(line.substr(13, line.find(' ', 13) - 13));
  return lines;
}

}  // namespace millrace::alert::test
