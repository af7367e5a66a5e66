#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>

#include "plugins/alert/monitor.h"
#include "plugins/alert/plain_windows.h"

using namespace millrace::alert;
using namespace millrace::alert::test;

namespace {

class Collector final : public Output {
 public:
  bool traces() const override { return true; }
  void window(const RulePlan&, std::string_view key, const WindowRow& row) override {
    rows[std::string(key)].push_back({row.window.start, row.window.end, {row.figures.begin(), row.figures.end()}});
  }
  void record(std::string_view key, Micros, Micros, const Admission& a) override {
    if (a.outcome != Outcome::dropped) admitted[std::string(key)].push_back(a.time);
    outcomes.push_back(a);
  }
  void derived(const RulePlan&, std::string_view key, Micros time, double value) override {
    values[std::string(key)].push_back({time, value});
  }
  void change(const RulePlan&, std::string_view, const Change&, const Cause&, Micros) override {}
  void notice(const RulePlan&, std::string_view, const Notice&, const Change&, const Cause&, Micros) override {}
  void notice(const RulePlan&, const GroupNotice&, Micros) override {}

  std::map<std::string, std::vector<Row>> rows;
  std::map<std::string, std::vector<Micros>> admitted;
  std::map<std::string, std::vector<Sample>> values;
  std::vector<Admission> outcomes;
};

std::vector<Aggregate> every_aggregate() {
  std::vector<Aggregate> all;
  for (const std::string& name : aggregate_names()) all.push_back(*parse_aggregate(name));
  all.push_back(*parse_aggregate("p12.5"));
  return all;
}

void same(double actual, double expected) {
  if (is_null(expected))
    CHECK(is_null(actual));
  else
    CHECK(std::abs(actual - expected) <= 1e-9 * std::max(1.0, std::abs(expected)));
}

MonitorPlan plan_with(const WindowPlan::Extent& extent, const std::vector<Aggregate>& aggregates, const TimePolicy& time) {
  MonitorPlan plan;
  plan.time = time;
  plan.inputs = 1;
  RulePlan rule;
  rule.name = "windows";
  rule.watch = extent.kind == WindowKind::trailing ? Watch::trailing : Watch::window;
  rule.aggregates = aggregates;
  rule.window.emplace(extent, aggregates, plan.max_samples);
  plan.rules.push_back(std::move(rule));
  return plan;
}

/// Feeds a random stream, out of order, late and with restarts, and returns per key what was let in, in order of event time.
std::map<std::string, std::vector<Sample>> feed(std::unique_ptr<Monitor>& monitor, const MonitorPlan& plan, Collector& output,
                                                std::mt19937_64& random, int records, Micros longest_step, bool flush = true) {
  std::map<std::string, std::vector<Sample>> let_in;
  Micros now = 1'700'000'000'000'000;
  auto below = [&](std::uint64_t limit) { return static_cast<Micros>(random() % limit); };
  for (int i = 0; i < records; ++i) {
    now += below(4) == 0 ? 0 : below(static_cast<std::uint64_t>(longest_step));
    if (below(10) == 0) monitor->tick(now);
    if (below(40) == 0) {
      auto after = std::make_unique<Monitor>(plan, output);
      REQUIRE(after->load_common(monitor->save_common()));
      for (const char* key : {"a", "b"})
        if (std::string saved = monitor->save(key); !saved.empty()) REQUIRE(after->load(key, saved));
      after->restarted(now, now, true);
      monitor = std::move(after);
    }
    std::string key = below(2) == 0 ? "a" : "b";
    double value = below(12) == 0 ? null_value : static_cast<double>(below(40)) / 4 - 5;
    Micros time = now - below(static_cast<std::uint64_t>(plan.time.late) * 5 / 4) * (below(3) == 0 ? 1 : 0) + below(3) * 500;
    std::size_t judged = output.outcomes.size();
    Arrival arrival;
    arrival.arrival = now;
    arrival.time = time;
    arrival.key = key;
    arrival.inputs = std::span(&value, 1);
    monitor->record(arrival);
    REQUIRE(output.outcomes.size() == judged + 1);
    if (output.outcomes.back().outcome != Outcome::dropped) let_in[key].push_back({output.outcomes.back().time, value});
  }
  if (flush) monitor->flush();
  for (auto& [key, samples] : let_in)
    std::stable_sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.time < b.time; });
  return let_in;
}

TimePolicy random_policy(std::mt19937_64& random) {
  TimePolicy time;
  time.late = 3'000'000;
  time.out_of_order = random() % 2 == 0 ? 0 : 1'500'000;
  time.policy = random() % 2 == 0 ? Lateness::drop : Lateness::adjust;
  time.scope = random() % 3 == 0 ? Scope::source : Scope::key;
  return time;
}

WindowPlan::Extent extent(WindowKind kind, std::mt19937_64& random) {
  auto seconds = [&](std::uint64_t most) { return static_cast<Micros>(1 + random() % most) * 500'000; };
  WindowPlan::Extent e;
  e.kind = kind;
  e.size = seconds(20);
  e.hop = random() % 3 == 0 ? e.size : seconds(25);
  e.offset = random() % 3 == 0 ? -1 : static_cast<Micros>(random() % 3) * 250'000;
  e.timeout = seconds(6);
  e.max_duration = e.timeout + seconds(10);
  e.exact = random() % 2 == 0;
  e.records = 1 + static_cast<std::int64_t>(random() % 9);
  e.every = 1 + static_cast<std::int64_t>(random() % 9);
  return e;
}

using Figures = std::vector<double>;

/// Feeds the plan a random stream, and gives the figures of each window that comes of it, and what a plain calculation makes
/// them, to `compare`.
template <class F>
void each_window(const MonitorPlan& plan, const WindowPlan::Extent& e, const std::vector<Aggregate>& aggregates,
                 std::mt19937_64& random, F&& compare) {
  Collector output;
  auto monitor = std::make_unique<Monitor>(plan, output);
  for (const auto& [key, samples] : feed(monitor, plan, output, random, 250, 900'000)) {
    const std::vector<Row> expected = brute_windows(e, samples, aggregates);
    const std::vector<Row>& found = output.rows[key];
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      CAPTURE(key, i);
      REQUIRE(found[i].start == expected[i].start);
      REQUIRE(found[i].end == expected[i].end);
      compare(found[i].figures, expected[i].figures);
    }
  }
}

}  // namespace

TEST_CASE("windows of every kind hold what a plain calculation over the whole stream says") {
  const std::vector<Aggregate> aggregates = every_aggregate();
  auto kind = GENERATE(WindowKind::hopping, WindowKind::sliding, WindowKind::snapshot, WindowKind::session, WindowKind::count);
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(static_cast<int>(kind), seed);
    std::mt19937_64 random(seed);
    WindowPlan::Extent e = extent(kind, random);
    MonitorPlan plan = plan_with(e, aggregates, random_policy(random));
    each_window(plan, e, aggregates, random, [&](const Figures& found, const Figures& expected) {
      for (std::size_t k = 0; k < aggregates.size(); ++k) {
        CAPTURE(aggregates[k].name);
        same(found[k], expected[k]);
      }
    });
  }
}

TEST_CASE("a trailing aggregate is that of the records within its reach at each record") {
  for (const Aggregate& aggregate : every_aggregate()) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      CAPTURE(aggregate.name, seed);
      std::mt19937_64 random(seed);
      WindowPlan::Extent e = extent(WindowKind::trailing, random);
      MonitorPlan plan = plan_with(e, {aggregate}, random_policy(random));
      Collector output;
      auto monitor = std::make_unique<Monitor>(plan, output);
      auto let_in = feed(monitor, plan, output, random, 250, 900'000);
      for (const auto& [key, samples] : let_in) {
        const auto& found = output.values[key];
        REQUIRE(found.size() == samples.size());
        std::vector<Sample> inside;
        for (std::size_t i = 0; i < samples.size(); ++i) {
          inside.push_back(samples[i]);
          const Micros gone = samples[i].time - e.size;
          std::erase_if(inside, [gone](const Sample& s) { return s.time <= gone; });
          CAPTURE(key, i);
          REQUIRE(found[i].time == samples[i].time);
          same(found[i].value, brute(aggregate, inside));
        }
      }
    }
  }
}

TEST_CASE("moving means, scores and changes are those of a plain calculation over the whole stream") {
  auto watch = GENERATE(Watch::ewma, Watch::zscore, Watch::changed);
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(static_cast<int>(watch), seed);
    std::mt19937_64 random(seed);
    WindowPlan::Extent e = extent(WindowKind::trailing, random);
    std::vector<Aggregate> baseline{*parse_aggregate("count"), *parse_aggregate("avg"), *parse_aggregate("stddev")};
    MonitorPlan plan = plan_with(e, baseline, random_policy(random));
    RulePlan& rule = plan.rules[0];
    rule.watch = watch;
    rule.tau = 1 + static_cast<Micros>(random() % 10'000'000);
    rule.min_samples = 2 + static_cast<std::int64_t>(random() % 5);
    rule.min_stddev = random() % 2 == 0 ? 0 : 2.5;
    if (watch != Watch::zscore) rule.window.reset();
    Collector output;
    auto monitor = std::make_unique<Monitor>(plan, output);
    auto let_in = feed(monitor, plan, output, random, 250, 900'000);
    for (const auto& [key, samples] : let_in) {
      const auto& found = output.values[key];
      REQUIRE(found.size() == samples.size());
      double mean = null_value;
      double before = null_value;
      Micros last = 0;
      for (std::size_t i = 0; i < samples.size(); ++i) {
        const Sample& s = samples[i];
        double expected = null_value;
        if (watch == Watch::zscore) {
          std::vector<Sample> inside;
          for (std::size_t j = 0; j < i; ++j)
            if (samples[j].time > s.time - e.size) inside.push_back(samples[j]);
          double spread = std::max(brute(baseline[2], inside), rule.min_stddev);
          if (brute(baseline[0], inside) >= static_cast<double>(rule.min_samples) && spread > 0 && !is_null(s.value))
            expected = (s.value - brute(baseline[1], inside)) / spread;
        } else if (!is_null(s.value) && watch == Watch::ewma) {
          double alpha = 1 - std::exp(-static_cast<double>(s.time - last) / static_cast<double>(rule.tau));
          expected = mean = is_null(mean) ? s.value : mean + alpha * (s.value - mean);
          last = s.time;
        } else if (!is_null(s.value)) {
          expected = !is_null(before) && before != s.value ? 1 : 0;
          before = s.value;
        }
        CAPTURE(key, i);
        REQUIRE(found[i].time == s.time);
        same(found[i].value, expected);
      }
    }
  }
}

/// Passes on what it is asked for: the figures' sum, nulls counting as 1000.
class Sum final : public Formula {
 public:
  millrace::Result<double> value(std::span<const double> figures) override {
    double sum = 0;
    for (double figure : figures) sum += is_null(figure) ? 1000 : figure;
    return sum;
  }
};

TEST_CASE("a formula is given the figures of all its windows, of every kind") {
  const std::vector<Aggregate> aggregates{*parse_aggregate("avg"), *parse_aggregate("p95"), *parse_aggregate("rise")};
  auto kind = GENERATE(WindowKind::hopping, WindowKind::sliding, WindowKind::snapshot, WindowKind::session, WindowKind::count);
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    CAPTURE(static_cast<int>(kind), seed);
    std::mt19937_64 random(seed);
    WindowPlan::Extent e = extent(kind, random);
    MonitorPlan plan = plan_with(e, aggregates, random_policy(random));
    RulePlan& rule = plan.rules[0];
    // The same field in several windows, each with figures of its own.
    for (const Aggregate& a : aggregates) rule.parts.push_back({0, {a}, WindowPlan(e, std::span(&a, 1), plan.max_samples)});
    rule.window = rule.parts[0].plan;
    rule.formula = std::make_shared<Sum>();
    rule.aggregates = {{Aggregate::Kind::last, 0, "value"}};
    each_window(plan, e, aggregates, random, [](const Figures& found, const Figures& expected) {
      REQUIRE(found.size() == 1);
      same(found[0], Sum().value(expected).value());
    });
  }
}

TEST_CASE("with approx, percentiles of windows of every kind are as near as is stated, and all else is exact") {
  const std::vector<Aggregate> aggregates{*parse_aggregate("count"), *parse_aggregate("sum"), *parse_aggregate("pd75"),
                                          *parse_aggregate("pd05")};
  auto kind = GENERATE(WindowKind::hopping, WindowKind::sliding, WindowKind::snapshot, WindowKind::session, WindowKind::count);
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    CAPTURE(static_cast<int>(kind), seed);
    std::mt19937_64 random(seed);
    WindowPlan::Extent e = extent(kind, random);
    e.sketch = true;
    MonitorPlan plan = plan_with(e, aggregates, random_policy(random));
    each_window(plan, e, aggregates, random, [](const Figures& found, const Figures& expected) {
      same(found[0], expected[0]);
      same(found[1], expected[1]);
      for (std::size_t k : {2U, 3U}) {
        REQUIRE(is_null(found[k]) == is_null(expected[k]));
        if (!is_null(expected[k])) REQUIRE(std::abs(found[k] - expected[k]) <= std::abs(expected[k]) / 128);
      }
    });
  }
}

TEST_CASE("figures keep their precision over a long stream far from zero") {
  const std::vector<Aggregate> aggregates{*parse_aggregate("avg"), *parse_aggregate("stddev"), *parse_aggregate("slope")};
  WindowPlan::Extent e;
  e.kind = WindowKind::hopping;
  e.size = 10'000'000;
  e.hop = 1'000'000;
  TimePolicy time;
  MonitorPlan plan = plan_with(e, aggregates, time);
  Collector output;
  Monitor monitor(plan, output);
  std::vector<Sample> samples;
  for (int i = 0; i < 20'000; ++i) {
    double value = i < 10'000 ? 1e9 + i % 7 : static_cast<double>(i % 5);
    Arrival arrival;
    arrival.arrival = arrival.time = 1'700'000'000'000'000 + i * 250'000LL;
    arrival.key = "a";
    arrival.inputs = std::span(&value, 1);
    monitor.record(arrival);
    samples.push_back({arrival.time, value});
  }
  const Row& last = output.rows["a"].back();
  std::vector<Sample> inside;
  for (const Sample& s : samples)
    if (s.time > last.start && s.time <= last.end) inside.push_back(s);
  REQUIRE(inside.size() == 40);
  for (std::size_t k = 0; k < aggregates.size(); ++k) same(last.figures[k], brute(aggregates[k], inside));
}
