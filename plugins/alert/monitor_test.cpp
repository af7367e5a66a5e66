#include "plugins/alert/monitor.h"

#include <catch2/catch.hpp>

using namespace millrace::alert;

namespace {

constexpr Micros second = 1'000'000;
constexpr Micros start = 1'700'000'000 * second;

/// Notes transitions, notices and forgotten keys as short lines, times in seconds from `start`.
class Notes final : public Output {
 public:
  std::vector<std::string> lines;
  int refusals = 0;
  std::vector<bool> partial;

  void refused(std::string_view, Refusal) override { ++refusals; }
  void forgotten(std::string_view key) override { lines.push_back("forgotten " + std::string(key)); }
  void window(const RulePlan&, std::string_view, const WindowRow& row) override { partial.push_back(row.window.partial); }
  void change(const RulePlan&, std::string_view, const Change& c, const Cause&, Micros) override {
    lines.push_back(std::string(name_of(c.from)) + ">" + std::string(name_of(c.to)) + " " + text_of(c.reason, c.by) + " #" +
                    std::to_string(c.opening) + " @" + std::to_string((c.at - start) / second));
  }
  void notice(const RulePlan&, std::string_view, const Notice& n, const Change&, const Cause&, Micros now) override {
    lines.push_back("told " + std::string(name_of(n.type)) + (n.quiet ? " quietly" : "") + " @" +
                    std::to_string((now - start) / second));
  }
  void notice(const RulePlan&, const GroupNotice&, Micros) override {}
};

RulePlan above_80() {
  RulePlan rule;
  rule.name = "hot";
  rule.life.levels.push_back({"warning", {Test::Kind::above, 80}, {}, 0});
  return rule;
}

struct Bench {
  explicit Bench(RulePlan rule, std::size_t max_keys = 10) : monitor(plan(std::move(rule), max_keys), notes) {}

  static MonitorPlan plan(RulePlan rule, std::size_t max_keys) {
    MonitorPlan plan;
    plan.inputs = 1;
    plan.max_keys = max_keys;
    plan.rules.push_back(std::move(rule));
    return plan;
  }

  void record(int at, double value, std::string_view key = "a") {
    Arrival arrival;
    arrival.arrival = arrival.time = start + at * second;
    arrival.key = key;
    arrival.inputs = std::span(&value, 1);
    monitor.record(arrival);
  }
  void tick(int at) { monitor.tick(start + at * second); }

  Notes notes;
  Monitor monitor;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("with for_mode timer the time alone ends for and resolve_after, once the watermark has passed") {
  RulePlan rule = above_80();
  rule.life.by_timer = true;
  rule.life.levels[0].hold = 10 * second;
  rule.life.resolve_after = 20 * second;
  Bench bench(std::move(rule));
  bench.record(0, 90);
  bench.tick(15);
  CHECK(bench.notes.lines == Lines{"OK>PENDING condition #0 @0"});
  CHECK(bench.monitor.deadline() == start + 15 * second + 1);
  bench.tick(16);
  bench.record(30, 70);
  bench.tick(56);
  CHECK(bench.notes.lines == Lines{"OK>PENDING condition #0 @0", "PENDING>FIRING condition #1 @10", "told firing @16",
                                   "FIRING>RECOVERING condition_clear #1 @30", "RECOVERING>OK resolved #1 @50",
                                   "told resolved @56"});
}

TEST_CASE("a relapse while recovering is the same incident and needs no new for") {
  RulePlan rule = above_80();
  rule.life.resolve_after = 10 * second;
  rule.life.levels[0].hold = 2 * second;
  Bench bench(std::move(rule));
  for (int at : {0, 2}) bench.record(at, 90);
  bench.record(3, 70);
  bench.record(5, 90);
  CHECK(bench.notes.lines == Lines{"OK>PENDING condition #0 @0", "PENDING>FIRING condition #1 @2", "told firing @2",
                                   "FIRING>RECOVERING condition_clear #1 @3", "RECOVERING>FIRING relapse #1 @5"});
}

TEST_CASE("a latched alert waits for somebody, and fires again as the same incident") {
  RulePlan rule = above_80();
  rule.life.latch = true;
  Bench bench(std::move(rule));
  bench.record(0, 90);
  bench.record(1, 70);
  bench.record(2, 90);
  bench.record(3, 70);
  CHECK(bench.monitor.acknowledge(start + 4 * second, "hot", "a", "ann"));
  CHECK(bench.notes.lines == Lines{"OK>FIRING condition #1 @0", "told firing @0", "FIRING>LATCHED condition_clear #1 @1",
                                   "told resolved @1", "LATCHED>FIRING reactivated #1 @2", "told firing @2",
                                   "FIRING>LATCHED condition_clear #1 @3", "told resolved @3", "LATCHED>OK ack:ann #1 @4"});
}

TEST_CASE("an alert that flaps is told once, then left alone until it has been quiet") {
  RulePlan rule = above_80();
  rule.notify.flap = {3, 60 * second, 30 * second};
  Bench bench(std::move(rule));
  for (int at = 0; at < 8; at += 2) {
    bench.record(at, 90);
    bench.record(at + 1, 70);
  }
  bench.tick(36);
  bench.tick(37);
  Lines told;
  for (const std::string& line : bench.notes.lines)
    if (line.starts_with("told")) told.push_back(line);
  CHECK(told == Lines{"told firing @0", "told resolved @1", "told firing @2", "told resolved @3", "told flapping @4",
                      "told flapping_ended @37"});
}

TEST_CASE("what began before a silence ends quietly within it, and what began and ended in it is never told") {
  Bench bench(above_80());
  bench.monitor.load_silences({{"1", start + 10 * second, start + 20 * second, "", ""}});
  bench.record(0, 90, "told");
  bench.record(12, 70, "told");
  bench.record(13, 90, "missed");
  bench.record(14, 70, "missed");
  bench.tick(30);
  CHECK(bench.notes.lines == Lines{"OK>FIRING condition #1 @0", "told firing @0", "FIRING>OK resolved #1 @12",
                                   "told resolved quietly @12", "OK>FIRING condition #1 @13", "FIRING>OK resolved #1 @14"});
}

TEST_CASE("a restart does not count the time away towards for") {
  RulePlan rule = above_80();
  rule.life.levels[0].hold = 10 * second;
  Bench bench(std::move(rule));
  bench.record(0, 90);
  bench.record(6, 90);
  bench.monitor.restarted(start + 7 * second, start + 100 * second, true);
  bench.record(101, 90);
  bench.record(104, 90);
  CHECK(bench.notes.lines == Lines{"OK>PENDING condition #0 @0"});
  bench.record(105, 90);
  CHECK(bench.notes.lines.back() == "told firing @105");
}

TEST_CASE("windows whose contents were lost are marked, and judged by no rule") {
  RulePlan rule = above_80();
  rule.watch = Watch::window;
  rule.aggregates = {*parse_aggregate("max")};
  WindowPlan::Extent e;
  e.kind = WindowKind::hopping;
  e.size = e.hop = 10 * second;
  rule.window.emplace(e, rule.aggregates, 100);
  RulePlan silent = rule;
  silent.life.levels.clear();
  Bench judged(std::move(rule));
  Bench listed(std::move(silent));
  for (Bench* bench : {&judged, &listed}) {
    bench->record(1, 70);
    bench->monitor.restarted(start + 2 * second, start + 3 * second, false);
    bench->record(4, 90);
    bench->record(15, 70);
    bench->monitor.flush();
  }
  CHECK(judged.notes.lines.empty());
  CHECK(listed.notes.partial == std::vector<bool>{true, false});
}

TEST_CASE("keys that are idle and calm make room for others; beyond the bound they are refused") {
  Bench bench(above_80(), 2);
  bench.record(0, 10, "a");
  bench.record(0, 90, "b");
  bench.record(1, 10, "c");
  CHECK(bench.notes.refusals == 1);
  CHECK(bench.monitor.keys() == 2);
  bench.tick(3600);
  CHECK(bench.notes.lines.back() == "forgotten a");
  bench.record(3601, 10, "c");
  CHECK(bench.notes.refusals == 1);
  CHECK(bench.monitor.keys() == 2);
}

TEST_CASE("damaged snapshots are refused, whatever is wrong with them") {
  RulePlan rule = above_80();
  rule.watch = Watch::window;
  rule.aggregates = {*parse_aggregate("p95"), *parse_aggregate("avg")};
  WindowPlan::Extent e;
  e.kind = WindowKind::hopping;
  e.size = 10 * second;
  e.hop = second;
  rule.window.emplace(e, rule.aggregates, 100);
  Bench bench(rule);
  for (int at = 0; at < 20; ++at) bench.record(at, at * 10);
  std::string whole = bench.monitor.save("a");
  REQUIRE(Bench(rule).monitor.load("a", whole));
  for (std::size_t length = 0; length < whole.size(); length += 3) {
    Bench other(rule);
    bool loaded = other.monitor.load("a", std::string_view(whole).substr(0, length));
    if (loaded) other.record(100, 1);
  }
}
