#include "runner/cli/incidents.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "runner/cli/comparison.h"
#include "runner/stage/json.h"

using namespace millrace;
using namespace millrace::cli;

namespace {

using Catch::Matchers::Contains;

constexpr Time begin = from_millis(1'700'000'000'000);

ReplayedIncident incident(const std::string& rule, Duration opened, std::optional<Duration> ended, std::size_t told = 1) {
  ReplayedIncident i{"climate", rule, "a", begin + opened, std::nullopt, {"warning"}, told};
  if (ended) i.ended = begin + *ended;
  return i;
}

void see(ReplayedIncidents& incidents, std::string_view kind, Duration at, const std::string& fields) {
  Batch batch;
  JsonDecoder decoder;
  REQUIRE(decoder.decode(fields, batch).has_value());
  batch.records.front().kind = kind;
  batch.records.front().time = begin + at;
  incidents.see("climate", batch);
}

}  // namespace

TEST_CASE("incidents are put together from transitions and notifications") {
  ReplayedIncidents incidents;
  see(incidents, "alert", 0s,
      R"({"incident": "i1", "rule": "hot", "key": "a", "from": "OK", "to": "PENDING", "level": "warning"})");
  see(incidents, "alert", 1s,
      R"({"incident": "i1", "rule": "hot", "key": "a", "from": "PENDING", "to": "FIRING", "level": "warning"})");
  see(incidents, "notification", 1s, R"({"incident": "i1", "id": "i1/1@phone"})");
  see(incidents, "notification", 1s, R"({"incident": "i1", "id": "i1/1@mail"})");
  see(incidents, "alert", 2s,
      R"({"incident": "i1", "rule": "hot", "key": "a", "from": "FIRING", "to": "FIRING", "level": "critical"})");
  see(incidents, "notification", 2s, R"({"incident": "i1", "id": "i1/2@phone"})");
  see(incidents, "alert", 3s,
      R"({"incident": "i1", "rule": "hot", "key": "a", "from": "FIRING", "to": "RECOVERING", "level": "critical"})");
  see(incidents, "alert", 4s,
      R"({"incident": "i1", "rule": "hot", "key": "a", "from": "RECOVERING", "to": "OK", "level": "critical"})");
  see(incidents, "alert", 5s, R"({"incident": "0", "rule": "hot", "key": "a", "from": "PENDING", "to": "OK", "level": "ok"})");
  REQUIRE(incidents.list().size() == 1);
  const ReplayedIncident one = incidents.list().front();
  CHECK((one.opened == begin + 1s && one.ended == begin + 4s && one.told == 2));
  CHECK(one.levels == std::vector<std::string>{"warning", "critical"});
}

TEST_CASE("two versions differ in what only one raises, and in what both raise differently") {
  auto d =
      compare({incident("hot", 0s, 10s), incident("hot", 20s, 30s), incident("cold", 5s, 6s), incident("wet", 0s, {})},
              {incident("hot", 0s, 10s), incident("hot", 25s, 30s), incident("cold", 8s, 9s), incident("wet", 0s, 50s, 2)});
  CHECK(d.same == 1);
  REQUIRE(d.only_first.size() == 1);
  CHECK((d.only_first[0].rule == "cold" && d.only_first[0].opened == begin + 5s));
  REQUIRE(d.only_second.size() == 1);
  CHECK(d.only_second[0].opened == begin + 8s);
  CHECK(d.changed.size() == 2);

  std::string text = text_of(d, "old.yaml", "new.yaml");
  CHECK_THAT(text, Contains("- cold  a  2023-11-14T22:13:25Z to 2023-11-14T22:13:26Z  warning  told 1x\n"));
  CHECK_THAT(text, Contains("    opens 2023-11-14T22:13:45Z instead of 2023-11-14T22:13:40Z\n"));
  CHECK_THAT(text, Contains("to 2023-11-14T22:14:10Z instead of still open; told 2x instead of told 1x\n"));
  CHECK_THAT(text, Contains("1 only in the first, 1 only in the second, 2 different, 1 the same\n"));
  auto json = nlohmann::json::parse(json_of(d, "old.yaml", "new.yaml"));
  CHECK(json["changed"][0]["first"]["ended"] == nullptr);
  CHECK(json["only_first"][0]["opened"] == 1'700'000'005'000);
}
