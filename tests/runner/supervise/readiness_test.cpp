#include <catch2/catch.hpp>

#include "runner/supervise/metrics.h"

using namespace millrace;
using namespace millrace::supervise;

TEST_CASE("a history that the disk does not take degrades the status and leaves it ready") {
  http::Readiness good = readiness_of({}, {}, false);
  CHECK(good.ready);
  CHECK(good.json == R"({"stages":[],"broken":[],"history_paused":false,"status":"ready","ready":true})");
  http::Readiness paused = readiness_of({}, {}, true);
  CHECK(paused.ready);
  CHECK(paused.json == R"({"stages":[],"broken":[],"history_paused":true,"status":"degraded","ready":true})");
}

TEST_CASE("a broken file degrades the status while an earlier version runs, and is not ready else") {
  CHECK(readiness_of({}, {{"a.yaml", true}}, false).json.find(R"("status":"degraded","ready":true)") != std::string::npos);
  http::Readiness without = readiness_of({}, {{"a.yaml", false}}, true);
  CHECK_FALSE(without.ready);
  CHECK(without.json.find(R"("status":"not ready","ready":false)") != std::string::npos);
}
