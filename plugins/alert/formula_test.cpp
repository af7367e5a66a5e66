#include "plugins/alert/formula.h"

#include <catch2/catch.hpp>

#include "plugins/alert/stage_bench.h"

using namespace millrace::alert;
using namespace millrace::alert::test;

namespace {

double value_of(const std::string& script, std::vector<double> figures) {
  auto formula = make_formula(script, "lua");
  REQUIRE(formula.has_value());
  auto value = (*formula)->value(figures);
  REQUIRE(value.has_value());
  return *value;
}

std::string error_of(const std::string& script, std::vector<double> figures) {
  auto formula = make_formula(script, "lua");
  REQUIRE(formula.has_value());
  auto value = (*formula)->value(figures);
  REQUIRE(value.has_error());
  return value.error().what;
}

}  // namespace

TEST_CASE("what a script asks for is read off its text, comments and other calls aside") {
  auto asked = asked_by(R"(
    -- w:sum("never")  --[[ w:sum("never") ]]
    local a, b = w:avg("t"), w:p95 'h'
    local c = w:min("t") + w:avg("t") + ("x"):rep(2)
    return a + w:max [[t]] )");
  REQUIRE(asked.has_value());
  REQUIRE(asked->size() == 2);
  CHECK((*asked)[0].field == "t");
  REQUIRE((*asked)[0].aggregates.size() == 3);
  CHECK((*asked)[0].aggregates[0].name == "avg");
  CHECK((*asked)[0].aggregates[1].name == "min");
  CHECK((*asked)[0].aggregates[2].name == "max");
  CHECK((*asked)[1].field == "h");
  CHECK((*asked)[1].aggregates[0].name == "p95");
}

TEST_CASE("a script works a value out of figures, or makes no decision") {
  CHECK(value_of("return w:avg('t') * 2 + w.count", {3, 10}) == 23);
  CHECK(value_of("local m = w:max('t') if not m then return nil end return m", {0, 7}) == 7);
  CHECK(is_null(value_of("local m = w:max('t') if not m then return nil end return m", {0, null_value})));
  CHECK(is_null(value_of("if w.count < 5 then return end return 1", {4})));
}

TEST_CASE("a script that fails, gives no number or never ends is an error, and the next call is well") {
  CHECK(error_of("return w:max('t') + 1", {1, null_value}).find("lua:1:") == 0);
  CHECK(error_of("return 'much'", {1}).find("returned a string") != std::string::npos);
  CHECK(error_of("local v = w return v:nothing()", {1}).find("knows nothing called 'nothing'") != std::string::npos);
  CHECK(error_of("local v = w return v:max(tostring(w.count))", {1}).find("knows nothing called 'max'") != std::string::npos);
  auto formula = make_formula("while w.count > 1 do end return w.count", "lua");
  REQUIRE(formula.has_value());
  double many = 2;
  CHECK((*formula)->value(std::span(&many, 1)).has_error());
  double one = 1;
  auto after = (*formula)->value(std::span(&one, 1));
  REQUIRE(after.has_value());
  CHECK(*after == 1);
}

TEST_CASE("a rule watches what a script makes of several fields, and its failures raise one alert of the stage") {
  Bench bench(R"yaml(
rules:
  dew-risk:
    watch:
      within: 5m
      lua: |
        local h, n = w:last("humidity"), w.count
        if n < 2 then return nil end
        if h > 90 then return h .. nil end
        return h - w:min("humidity")
    above: 5
    severity: warning
    message: "{key}: {value:.1f}"
)yaml");
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 50}, {"a", 1'001'000, 53}, {"a", 1'002'000, 56}});
  CHECK(bench.seen == Lines{"alert a OK>FIRING warning condition", "notification firing a a: 6.0"});
  bench.seen.clear();
  bench.feed({{"a", 1'003'000, 95}, {"b", 1'004'000, 95}, {"b", 1'005'000, 95}});
  REQUIRE(bench.seen.size() == 2);
  CHECK(bench.seen[0] == "alert script_error OK>FIRING error condition");
  CHECK(bench.host->counter("script_errors").value() == 2);
  bench.seen.clear();
  bench.pass(millrace::from_millis(1'004'000 + 6 * 60'000));
  REQUIRE(!bench.seen.empty());
  CHECK(bench.seen[0] == "alert script_error FIRING>OK error resolved");
}
