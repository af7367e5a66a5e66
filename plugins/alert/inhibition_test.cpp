#include <random>

#include "plugins/alert/compile.h"
#include "plugins/alert/monitor.h"
#include "plugins/alert/stage_bench.h"

namespace {

using namespace millrace;
using namespace millrace::alert;
using namespace millrace::alert::test;

/// Gateways say whether they are online, devices how wet it is and behind which gateway, or at which site, they are.
const std::string gateways = R"yaml(
time: {late: 5s, catch_up: 0s}
rules:
  offline: {watch: {value: status}, equals: offline, severity: critical, labels: {gateway: "{key}"}}
  wet:
    watch: {value: humidity}
    above: 80
    severity: warning
    labels: {gateway: "{record.place}"}
    inhibited_by: [{rule: offline, equal: [gateway]}]
)yaml";

const std::string sites = R"yaml(
time: {late: 5s, catch_up: 0s}
rules:
  offline: {watch: {value: status}, equals: offline, severity: critical, labels: {site: "{record.place}"}}
  wet:
    watch: {value: humidity}
    above: 80
    severity: warning
    labels: {site: "{record.place}"}
    inhibited_by: {rule: offline, equal: site}
)yaml";

struct Site : Bench {
  explicit Site(const std::string& yaml) : Bench(yaml) { host->notified_stages = {"phone"}; }

  static void put(Batch& batch, const std::string& device, std::int64_t at_s, const Value& status, const std::string& place) {
    Record& r = batch.append();
    Arena& arena = batch.arena();
    r.device = arena.copy(device);
    r.time = r.arrival = from_millis(at_s * 1000);
    r.fields.push(arena, status.type() == Type::string ? "status" : "humidity", status);
    if (!place.empty()) r.fields.push(arena, "place", Value::string(arena.copy(place)));
  }
  void take(Batch batch, std::int64_t at_s) {
    pass(from_millis(at_s * 1000));
    note(stage->process(std::move(batch)).value());
    pass(from_millis(at_s * 1000));
  }
  void gateway(const std::string& device, std::int64_t at_s, bool online, const std::string& place = "") {
    Batch batch;
    put(batch, device, at_s, Value::string(online ? "online" : "offline"), place);
    take(std::move(batch), at_s);
  }
  void device(const std::string& device, std::int64_t at_s, double humidity, const std::string& place) {
    Batch batch;
    put(batch, device, at_s, Value::real(humidity), place);
    take(std::move(batch), at_s);
  }

  /// What people were told since the last call, as "type key".
  Lines told() {
    Lines lines;
    for (const std::string& line : seen) {
      if (!line.starts_with("notification ")) continue;
      const std::size_t key = line.find(' ', 13) + 1;
      lines.push_back(line.substr(13, line.find(' ', key) - 13));
    }
    seen.clear();
    return lines;
  }
};

TEST_CASE("a gateway that is offline mutes the devices behind it and no others, until it is back") {
  Site site(gateways);
  site.use_file();
  site.gateway("north", 1000, false);
  site.device("d1", 1001, 90, "north");
  site.device("d2", 1002, 90, "south");
  site.device("d3", 1003, 90, "");
  CHECK(site.told() == Lines{"firing north", "firing d2", "firing d3"});
  CHECK(site.timeline("test/climate/wet/d1#1")[0].suppressed_by == "rule:offline");
  CHECK(site.timeline("test/climate/wet/d2#1")[0].suppressed_by.empty());
  site.gateway("north", 1010, true);
  CHECK(site.told() == Lines{"resolved north", "firing d1"});
  site.gateway("north", 1020, false);
  site.device("d1", 1021, 50, "north");
  site.device("d1", 1022, 90, "north");
  site.device("d1", 1023, 50, "north");
  CHECK(site.told() == Lines{"firing north", "resolved d1"});
  site.gateway("north", 1030, true);
  CHECK(site.told() == Lines{"resolved north"});  // what began and ended meanwhile is nobody's concern any more
}

TEST_CASE("as long as one source fires with equal labels, all of them are muted; a source mutes other rules of its own key") {
  Site site(sites);
  site.gateway("g1", 1000, false, "x");
  site.gateway("g2", 1001, false, "x");
  site.device("d1", 1002, 90, "x");
  site.device("g1", 1003, 90, "x");
  site.device("d2", 1004, 90, "y");
  CHECK(site.told() == Lines{"firing g1", "firing g2", "firing d2"});
  site.gateway("g1", 1005, true, "x");
  CHECK(site.told() == Lines{"resolved g1"});
  site.gateway("g2", 1006, true, "x");
  CHECK(site.told() == Lines{"resolved g2", "firing d1", "firing g1"});
}

TEST_CASE(
    "labels are those of the latest record: a device that moves away is told of, and so is a place that its source leaves") {
  Site site(sites);
  site.gateway("g", 1000, false, "x");
  site.device("d1", 1001, 90, "x");
  site.device("d2", 1002, 90, "x");
  CHECK(site.told() == Lines{"firing g"});
  site.device("d1", 1003, 91, "y");
  CHECK(site.told() == Lines{"firing d1"});
  site.gateway("g", 1004, false, "z");
  CHECK(site.told() == Lines{"firing d2"});
  site.device("d3", 1005, 90, "z");
  site.device("d4", 1006, 90, "x");
  CHECK(site.told() == Lines{"firing d4"});
}

TEST_CASE("an inhibition across keys holds over a kill, and ends when its source does") {
  Site site(sites);
  site.gateway("g", 1000, false, "x");
  site.device("a", 1001, 90, "x");
  site.start();
  site.device("h", 1002, 90, "x");
  site.pass(from_millis(1'010'000));
  CHECK(site.told() == Lines{"firing g"});
  site.gateway("g", 1011, true, "x");
  CHECK(site.told() == Lines{"resolved g", "firing a", "firing h"});
}

TEST_CASE("a reload that takes an inhibition away tells what it held back, and one that brings it mutes from then on") {
  Site site(sites);
  auto reload = [&](const std::string& yaml) {
    site.note(site.stage->finish(End::shutdown).value());
    site.start_as(yaml);
  };
  const std::string without = sites.substr(0, sites.find("    inhibited_by"));
  site.gateway("g", 1000, false, "x");
  site.device("d1", 1001, 90, "x");
  CHECK(site.told() == Lines{"firing g"});
  reload(without);
  site.pass(from_millis(1'002'000));
  CHECK(site.told() == Lines{"firing d1"});
  reload(sites);
  site.device("d2", 1003, 90, "x");
  CHECK(site.told().empty());
}

TEST_CASE("the silence of devices is muted by their gateway too") {
  Site site(R"yaml(
time: {late: 5s, catch_up: 0s}
no_data:
  after: 60s
  labels: {gateway: "{record.place}"}
  inhibited_by: [{rule: offline, equal: [gateway]}]
rules:
  offline: {watch: {value: status}, equals: offline, severity: critical, labels: {gateway: "{key}"}}
)yaml");
  site.device("d1", 1000, 50, "north");
  site.device("d2", 1001, 50, "south");
  site.gateway("north", 1050, false);
  site.pass(from_millis(1'080'000));
  CHECK(site.told() == Lines{"firing north", "firing d2"});
  site.gateway("north", 1090, true);
  CHECK(site.told() == Lines{"resolved north", "firing d1"});
}

TEST_CASE("within one batch the order decides: what is told before its source fires stays told") {
  Site site(gateways);
  Batch batch;
  Site::put(batch, "d1", 1000, Value::real(90), "north");
  Site::put(batch, "north", 1000, Value::string("offline"), "");
  Site::put(batch, "d2", 1000, Value::real(90), "north");
  site.take(std::move(batch), 1000);
  CHECK(site.told() == Lines{"firing d1", "firing north"});
  Batch back;
  Site::put(back, "north", 1001, Value::string("online"), "");
  Site::put(back, "north", 1001, Value::string("offline"), "");
  site.take(std::move(back), 1001);
  const Lines told = site.told();
  CHECK(std::count(told.begin(), told.end(), "firing d2") == 1);  // as the batch had it, there was a moment
}

/// Keeps nothing.
class Nobody final : public Output {
 public:
  void window(const RulePlan&, std::string_view, const WindowRow&) override {}
  void change(const RulePlan&, std::string_view, const Change&, const Cause&, Micros) override {}
  void notice(const RulePlan&, std::string_view, const Notice&, const Change&, const Cause&, Micros) override {}
  void notice(const RulePlan&, const GroupNotice&, Micros) override {}
};

Compiled compiled_from(const std::string& yaml) {
  config::Problems problems("alert.yaml");
  auto node = config::parse_yaml(yaml, problems);
  Options options;
  REQUIRE(config::declaration_of<Options>()->read(*node, options, "", problems));
  return compile(options);
}

TEST_CASE("whatever happens, an alert is muted exactly while a source with equal labels fires, and owed no longer than that") {
  const Compiled compiled = compiled_from(R"yaml(
time: {late: 0s, policy: adjust}
rules:
  off: {watch: {value: off}, above: 0, resolve_after: 3s, labels: {site: "{record.site}", kind: gas}}
  wet: {watch: {value: wet}, above: 0, resolve_after: 2s, latch: true, labels: {site: "{record.site}", kind: gas}, inhibited_by: [{rule: off, equal: [kind, site]}, {rule: off, equal: [kind, site]}, {rule: off, equal: [site]}]}
)yaml");
  REQUIRE(compiled.inputs.size() == 2);
  REQUIRE(compiled.quoted == std::vector<std::string>{"site"});
  Nobody nobody;
  auto monitor = std::make_unique<Monitor>(compiled.plan, nobody);
  const std::vector<std::string> keys{"a", "b", "c", "d", "e"};
  std::mt19937 random(7);
  auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
  auto state_of = [&](const char* rule, const std::string& key) {
    const LifeCycle* life = monitor->life(rule, key);
    return life ? life->state() : State::ok;
  };
  std::map<std::string, int> places;
  int muted = 0, audible = 0;
  Micros now = 1'700'000'000'000'000;
  for (int step = 0; step < 5'000; ++step) {
    now += below(3) * 500'000;
    const std::string& key = keys[static_cast<std::size_t>(below(5))];
    const int place = places[key] = below(4);
    const double inputs[] = {below(4) == 0 ? 1.0 : 0.0, below(2) == 0 ? 1.0 : 0.0};
    const std::vector<Quote> quotes{place == 0 ? Quote() : Quote("site " + std::to_string(place))};
    monitor->record({.arrival = now, .time = now, .key = key, .inputs = inputs, .quotes = quotes});
    if (below(10) == 0) monitor->acknowledge(now, "wet", key, "ann");
    if (below(100) == 0) {
      auto next = std::make_unique<Monitor>(compiled.plan, nobody);
      REQUIRE(next->load_common(monitor->save_common()));
      for (const std::string& name : keys)
        if (std::string saved = monitor->save(name); !saved.empty()) REQUIRE(next->load(name, saved));
      next->restarted(0, now, true);
      monitor = std::move(next);
    }
    monitor->tick(now);
    const RulePlan& wet = monitor->plan().rules[1];
    for (const std::string& target : keys) {
      const bool by_any = places[target] != 0 && std::any_of(keys.begin(), keys.end(), [&](const std::string& source) {
                            const State state = state_of("off", source);
                            return places[source] == places[target] && (state == State::firing || state == State::recovering);
                          });
      const bool known = monitor->save(target) != "";
      REQUIRE(monitor->muted_by(wet, target) == (known && by_any ? "rule:off" : ""));
      if (state_of("wet", target) != State::firing || monitor->life("wet", target)->acknowledged()) continue;
      const Teller& teller = *monitor->teller("wet", target);
      REQUIRE((teller.told() || teller.owes()));
      if (!by_any) REQUIRE(!teller.owes());
      ++(by_any ? muted : audible);
    }
  }
  CHECK(muted > 100);
  CHECK(audible > 100);
}

TEST_CASE("rules without inhibition across keys take part in none") {
  const MonitorPlan plan =
      compiled_from("rules: {a: {watch: {value: h}, above: 1}, b: {watch: {value: h}, above: 2, inhibited_by: a}}").plan;
  CHECK(plan.inhibitions.empty());
  CHECK(plan.rules[1].inhibitors == std::vector<std::size_t>{0});
  for (const RulePlan& rule : plan.rules) CHECK(rule.across_keys.empty());
}

}  // namespace
