// What the alert stage's rules cost: hopping windows of 60 s every 1 s over 10,000 keys at 10 records a second each, conditions
// and life cycle included, decoded records in virtual time, without the history. Prints records a CPU second and KiB of heap a
// key. Run it from a release build.

#include <fmt/core.h>

#include <malloc.h>
#include <CLI/CLI.hpp>
#include <ctime>
#include <string>
#include <vector>

#include "plugins/alert/monitor.h"

namespace {

using namespace millrace::alert;

constexpr Micros second = 1'000'000;

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

/// Counts, so that nothing of the work is in vain.
class Counting final : public Output {
 public:
  std::uint64_t windows = 0, changes = 0, notices = 0;
  void window(const RulePlan&, std::string_view, const WindowRow&) override { ++windows; }
  void change(const RulePlan&, std::string_view, const Change&, const Cause&, Micros) override { ++changes; }
  void notice(const RulePlan&, std::string_view, const Notice&, const Change&, const Cause&, Micros) override { ++notices; }
  void notice(const RulePlan&, const GroupNotice&, Micros) override { ++notices; }
};

struct Load {
  int keys = 10'000, per_second = 10, warm = 60, measured = 10;
};

MonitorPlan plan_of(const std::vector<std::string>& aggregates, bool approx) {
  MonitorPlan plan;
  plan.inputs = 1;
  RulePlan rule;
  rule.name = "load";
  rule.watch = Watch::window;
  for (const std::string& name : aggregates) rule.aggregates.push_back(*parse_aggregate(name));
  WindowPlan::Extent extent;
  extent.kind = WindowKind::hopping;
  extent.size = 60 * second;
  extent.hop = second;
  extent.sketch = approx;
  rule.window.emplace(extent, rule.aggregates, plan.max_samples);
  // The mean of a key drifts through it about twice a minute.
  rule.life.levels.push_back({"warning", {Test::Kind::above, 50.5}, Test{Test::Kind::below, 49.5}, 5 * second});
  plan.rules.push_back(std::move(rule));
  return plan;
}

/// Records come in batches, as under load.
constexpr std::size_t batch = 256;

struct Cost {
  double records_per_second = 0;  ///< of CPU
  double kib_per_key = 0;         ///< of the heap
  std::uint64_t changes = 0;
};

Cost run(const std::vector<std::string>& aggregates, const Load& load, bool approx = false) {
  std::vector<std::string> names;
  for (int i = 0; i < load.keys; ++i) names.push_back(fmt::format("AZ3166-{:05}", i));
  std::vector<double> values(1U << 16U);
  std::uint32_t random = 1;
  for (double& value : values) {
    random = random * 1664525U + 1013904223U;
    value = static_cast<double>(random >> 8U) / static_cast<double>(1U << 24U) * 100;
  }
  std::vector<Arrival> arrivals;
  arrivals.reserve(batch);
  const std::size_t heap_before = mallinfo2().uordblks + mallinfo2().hblkhd;
  Counting output;
  Monitor monitor(plan_of(aggregates, approx), output);
  const Micros step = second / load.per_second;
  std::size_t next = 0;
  double began = 0;
  std::uint64_t records = 0;
  for (int turn = 0; turn < (load.warm + load.measured) * load.per_second; ++turn) {
    if (turn == load.warm * load.per_second) {
      began = cpu_seconds();
      records = 0;
    }
    for (int i = 0; i < load.keys; ++i) {
      Arrival arrival;
      arrival.time = arrival.arrival = 1'700'000'000 * second + turn * step + i * step / load.keys;
      arrival.key = names[static_cast<std::size_t>(i)];
      arrival.inputs = {&values[next++ & (values.size() - 1)], 1};
      arrivals.push_back(arrival);
      ++records;
      if (arrivals.size() < batch) continue;
      monitor.records(arrivals);
      arrivals.clear();
    }
  }
  monitor.records(arrivals);
  const double used = cpu_seconds() - began;
  const std::size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd - heap_before;
  return {static_cast<double>(records) / used, static_cast<double>(heap) / load.keys / 1024, output.changes};
}

}  // namespace

int main(int argc, char** argv) {
  Load load;
  CLI::App app{"Cost of the alert stage's rules"};
  app.add_option("--keys", load.keys, "Keys")->capture_default_str();
  app.add_option("--rate", load.per_second, "Records a second and key")->capture_default_str();
  app.add_option("--warm", load.warm, "Seconds of virtual time before the measurement")->capture_default_str();
  app.add_option("--seconds", load.measured, "Seconds of virtual time measured")->capture_default_str();
  bool json = false;
  app.add_flag("--json", json, "One JSON object a line");
  CLI11_PARSE(app, argc, argv);
  struct Variant {
    const char* title;
    std::vector<std::string> aggregates;
    bool approx = false;
  };
  const Variant variants[] = {{"average and exact p95", {"avg", "p95"}},
                              {"average and approximate p95", {"avg", "p95"}, true},
                              {"average, minimum, maximum", {"avg", "min", "max"}}};
  for (const Variant& variant : variants) {
    Cost cost = run(variant.aggregates, load, variant.approx);
    if (json)
      fmt::print("{{\"title\":\"{}\",\"rate\":{},\"kib\":{}}}\n", variant.title, cost.records_per_second, cost.kib_per_key);
    else
      fmt::print("{:28} {:6.2f} M records/CPU s  {:6.2f} KiB/key  ({} changes)\n", variant.title, cost.records_per_second / 1e6,
                 cost.kib_per_key, cost.changes);
  }
}
