#include "plugins/alert/stage_bench.h"
#include "runner/stage/explains.h"

namespace {

using namespace millrace;
using namespace millrace::alert::test;

TEST_CASE("a stage says what its rules look at, with the boundaries that hold") {
  auto stage = make(R"(
time: {late: 5s}
no_data: 60s
rules:
  jump: {watch: {rise: h, within: 30s}, above: 10, clear: {below: 5}, severity: warning, resolve_after: 1m, labels: {site: x, room: y}}
  hot: {watch: {avg: t, within: 60s, every: 10s, offset: -1ms}, levels: {warning: {above: 26, for: 1m}}, inhibited_by: [no_data, {rule: jump, equal: [site, room]}], labels: {site: x, room: y}}
  visits: {watch: {count: h, session: {timeout: 5m, max_duration: 1h}}}
  slow:
    watch: {p95: h, within: 1m, every: 1m, approx: true}
    above: 3
    labels: {site: "{record.site}"}
    group: {by: [site], wait: 30s, interval: 5m}
)",
                    TestHost::make("climate")->context());
  CHECK(
      dynamic_cast<Explains&>(*stage).explain() ==
      Lines{
          "jump: rise of h over (t-30s, t], at each record t; warning above 10 until below 5, for 1m",
          ("hot: avg of t over (end-1m, end], each end a multiple of 10s since the epoch less 1ms; without data it closes 5s "
           "after; warning above 26 for 1m until it is not; told of unless no_data fires; told of unless jump fires with the "
           "same site, room"),
          ("visits: count of h over sessions with gaps of at most 5m, cut at the first multiple of 1h since the epoch at "
           "which they are longer; emitted, raises nothing"),
          ("slow: about the p95 of h over (end-1m, end], each end a multiple of 1m since the epoch; without data it closes 5s "
           "after; alert above 3 until it is not; told of in groups by site, 30s after the first and each 5m"),
          "no_data: nothing arrived for 1m; a record that arrives exactly then is in time"});
}

TEST_CASE("any percentile is watched by its name, and what is none is refused") {
  auto watching = [](const std::string& watch) { return "rules: {r: {watch: {" + watch + ", records: 3}, above: 1}}"; };
  for (const char* name : {"p0", "p1", "p37", "p97.5", "p99.9", "p100", "pd5", "pd99.9"})
    CHECK(problems_of(watching(std::string(name) + ": humidity")).empty());
  auto says = [&](const std::string& watch, const std::string& expected) {
    const std::string problems = problems_of(watching(watch));
    INFO(watch << ": " << problems);
    CHECK(problems.find(expected) != std::string::npos);
  };
  says("p101: humidity", "alert.yaml:1:21: there is no percentile 'p101': p0 to p100");
  says("p9.9.9: humidity", "there is no percentile 'p9.9.9'");
  says("pNN: humidity", "'pNN' stands for any number in the place of NN, such as p95");
  says("p95: humidity, p99: humidity", "one thing is watched, and 'p95' stands there already; `also` takes more aggregates");
  says("p95: humidity, max: humidity", "one thing is watched");
  says("px5: humidity", "unknown key 'px5'");
  says("p95: [1]", "'p95': expected a text");

  Bench bench("rules: {r: {watch: {p97.5: humidity, records: 3, also: [pd50]}, above: 26, message: '{p97.5:.2f} {pd50}'}}");
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1000, 10}, {"a", 2000, 20}, {"a", 3000, 30}});
  REQUIRE(notifications(bench) == Lines{"firing"});
  CHECK(text(bench.last.records[1], "message") == "29.50 20");
}

TEST_CASE("what is wrong with inhibition is found beside other mistakes, and nothing that follows from those alone") {
  const std::string flawed = problems_of(R"(
no_data: {after: soon, labels: {site: x}}
rules:
  a: {watch: {rize: h, within: 30s}, above: 10, labels: {site: x}}
  b: {watch: {value: h}, abov: 10, label: {site: x}}
  c: {watch: {value: h}, above: 10, inhibited_by: [d, a]}
  d: {watch: {value: h}, above: 10, inhibited_by: [c, {rule: b, equal: [site]}]}
  e: {watch: {value: h}, above: 10, labels: {site: x}, inhibited_by: [f, {rule: a, equal: [sites]}, {rule: no_data, equal: [site]}]}
)");
  INFO(flawed);
  auto says = [&](const std::string& expected) { CHECK(flawed.find(expected) != std::string::npos); };
  says("alert.yaml:6:52: rule 'c' is inhibited by itself");
  says("alert.yaml:7:52: rule 'd' is inhibited by itself");
  says("alert.yaml:8:71: rule 'e': inhibited_by names 'f', and no such rule raises alerts");
  says("rule 'e': inhibited_by: equal names 'sites', and the rule has no such label; did you mean 'site'?");
  CHECK(flawed.find("names 'b'") == std::string::npos);
  CHECK(flawed.find("rule 'b' has no such label") == std::string::npos);
  CHECK(flawed.find("'no_data' has no such label") == std::string::npos);

  const std::string silence = problems_of(R"(
no_data: {after: soon}
rules: {c: {watch: {value: h}, above: 10, inhibited_by: [no_data, d]}}
)");
  INFO(silence);
  CHECK(silence.find("names 'no_data'") == std::string::npos);
  CHECK(silence.find("alert.yaml:3:67: rule 'c': inhibited_by names 'd'") != std::string::npos);
}

TEST_CASE("what contradicts itself is refused with its place and a way out") {
  auto rule = [](const std::string& inside) { return "rules: {r: {" + inside + "}}"; };
  auto says = [&](const std::string& yaml, const std::string& expected) {
    CAPTURE(yaml, expected);
    std::string problems = problems_of(yaml);
    CAPTURE(problems);
    CHECK(problems.find(expected) != std::string::npos);
  };
  says(rule("watch: {rise: h, within: 30s}, above: 10, clear: {below: 12}"), "clear overlaps the condition");
  says(rule("watch: {rise: h, within: 30s}, above: 10, repeat: 5m"), "repeat needs a severity");
  says(rule("watch: {rize: h, within: 30s}, above: 10"), "did you mean 'rise'");
  says(rule("watch: {avg: h, within: 30s, also: [p95, madian]}, above: 10"), "did you mean 'median'");
  says(rule("watch: {avg: h}, above: 10"), "need one of within");
  says(rule("watch: {avg: h, max: h, within: 1s}, above: 10"), "one thing is watched");
  says(rule("watch: {count: h, session: {timeout: 1m, max_duration: 30s}}"), "above the max_duration");
  says(rule("watch: {value: h}, above: 10, below: 5"), "one condition is enough");
  says(rule("watch: {value: h}"), "without a condition");
  says(rule("watch: {avg: h, within: 1s}, equals: fault"), "needs `watch: {value: FIELD}`");
  says(rule("watch: {avg: h, within: 1s, every: 5}"), "duration with its unit");
  says(rule("watch: {avg: h, records: 5, every: 5s}"), "number of records");
  says(rule("watch: {value: h}, above: 1, message: '{vale}'"), "did you mean 'value'");
  says(rule("watch: {value: h}, above: 1, message: '{value:q}'"), "is no format for a number");
  says(rule("watch: {value: h}, above: 1, message: '{value:.999999999f}'"), "at most 99");
  says(rule("watch: {value: h}, levels: {warning: {above: 30}, critical: {above: 20}}"), "level 'warning' is never reached");
  says(rule("watch: {value: h}, levels: {warning: {above: 30, clear: {above: 29}}}"), "clear overlaps the condition");
  says(rule("watch: {distance_outside: [lat, lon]}, above: 10"), "give one fence");
  says(rule("watch: {p90: h, p50: h, within: 1s}, above: 10"), "one thing is watched");
  says(rule("watch: {value: h}, above: 1, inhibited_by: [q]"), "no such rule raises alerts");
  says(rule("watch: {value: h}, above: 1, inhibited_by: [r]"), "inhibited by itself");
  says("rules: {r: {watch: {value: h}, above: 1, inhibited_by: [s]}, s: {watch: {value: h}, above: 1, inhibited_by: [r]}}",
       "inhibited by itself");
  const std::string two =
      "rules: {off: {watch: {value: s}, above: 1, labels: {site: x}}, wet: {watch: {value: h}, above: 1, labels: {site: x, "
      "room: y}, inhibited_by: ";
  says(two + "[{rule: of, equal: [site]}]}}", "no such rule raises alerts; did you mean 'off'?");
  says(two + "[off, {rule: off, equal: [sites]}]}}",
       "alert.yaml:1:166: rule 'wet': inhibited_by: equal names 'sites', and the rule has no such label; did you mean 'site'?");
  says(two + "{rule: off, equal: room}}}", "equal names 'room', and rule 'off' has no such label");
  says(two + "[{rule: wet, equal: [site]}]}}", "rule 'wet' is inhibited by itself");
  says(two + "[{equal: [site]}]}}", "missing key 'rule'");
  says(two + "[{rule: off, equals: [site]}]}}", "did you mean 'equal'?");
  says("no_data: {after: 1m, inhibited_by: [r]}\n" + rule("watch: {value: h}, above: 1, inhibited_by: [no_data]"),
       "alert.yaml:1:37: rule 'no_data' is inhibited by itself");
  says("no_data: {after: 1m, inhibited_by: [{rule: r, equal: [site]}]}\n" +
           rule("watch: {value: h}, above: 1, labels: {site: x}"),
       "rule 'no_data': inhibited_by: equal names 'site', and the rule has no such label");
  CHECK(problems_of(two + "[off, {rule: off, equal: [site]}]}}").empty());
  says(rule("watch: {value: h}, above: 10, clear: {}"), "clear needs a condition");
  says(rule("watch: {value: h}, levels: {}"), "levels names none");
  says(rule("watch: {count: h, within: 1m}, below: 0"), "count is never negative");
  says(rule("watch: {rise: h, within: 1m}, above: 5, clear: {below: 0}"), "it would never end");
  says(rule("watch: {avg: h, within: 1m, every: 10s}, above: 5, for: 1m, max_gap: 5s"), "for would never be reached");
  says(rule("watch: {avg: h, within: 1m, also: [max, max]}, above: 5"), "max is there twice");
  says(rule("watch: {avg: h, within: 1m, approx: true}, above: 5"), "about percentiles");
  says(rule("watch: {value: h, min_samples: 5}, above: 5"), "goes with zscore");
  says(rule("watch: {value: h, max_accuracy: 5}, above: 5"), "go together");
  says(rule("watch: {distance_outside: [a, a], circle: {latitude: 1, longitude: 2, radius: 3}}, above: 5"), "are two fields");
  says(rule("watch: {avg: h, records: 20000}, above: 5"), "more than max_samples");
  says(rule("watch: {value: h}, above: 5, labels: {site: '{record}'}"), "label 'site'");
  says(rule("watch: {value: h}, above: 5, labels: {site: x}, group: {by: [cite]}"), "did you mean 'site'");
  says(rule("watch: {within: 5m, lua: 'return w:avg(field)'}, above: 5"), "needs the name of its field as a text");
  says(rule("watch: {within: 5m, lua: 'return w:avrg(\"h\")'}, above: 5"), "there is no aggregate 'avrg'");
  says(rule("watch: {within: 5m, lua: 'return +'}, above: 5"), "lua:1:");
  says(rule("watch: {lua: 'return 1'}, above: 5"), "need one of within");
  says("rules: {stage: {watch: {value: h}, above: 1}}", "trouble in the stage itself");
  says("max_keys: 1\nno_data: {after: 1m, expect: [a, b]}", "expect lists 2 keys");
  says("key: device", "no rules");
  CHECK(problems_of(rule("watch: {value: h}, above: 10, clear: {at_most: 10}")).empty());
}

}  // namespace
