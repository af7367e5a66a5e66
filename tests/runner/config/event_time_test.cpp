#include "runner/config/event_time.h"

#include <catch2/catch.hpp>
#include <limits>

namespace {

using namespace millrace;
using namespace std::chrono;
using config::parse_rfc3339;

constexpr Time noon{sys_days{2026y / 3 / 1} + 12h};

TEST_CASE("RFC 3339 times are read with fraction and offset") {
  CHECK(parse_rfc3339("2026-03-01T12:00:00Z") == noon);
  CHECK(parse_rfc3339("2026-03-01 12:00:00.25z") == noon + 250ms);
  CHECK(parse_rfc3339("2026-03-01T12:00:00.1234567Z") == noon + 123456us);
  CHECK(parse_rfc3339("2026-03-01T14:30:00+02:30") == noon);
  CHECK(parse_rfc3339("2026-03-01T10:00:00-02:00") == noon);
  CHECK(parse_rfc3339("2016-12-31T23:59:60Z") == Time{sys_days{2017y / 1 / 1}});
}

TEST_CASE("what is no RFC 3339 time is nothing") {
  for (const char* text :
       {"", "2026", "2026-03-01", "2026-03-01T12:00:00", "2026-02-30T12:00:00Z", "2026-13-01T12:00:00Z", "2026-03-01T24:00:00Z",
        "2026-03-01T12:60:00Z", "2026-03-01T12:00:61Z", "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00Zx",
        "2026-03-01T12:00:00+1:00", "2026-03-01T12:00:00+24:00", "-026-03-01T12:00:00Z", "2026-03-01X12:00:00Z"})
    CHECK_FALSE(parse_rfc3339(text));
}

struct Fixture {
  Record& with(Value value) {
    record.fields.set(arena, "ts", value);
    return record;
  }
  Arena arena;
  Record record;
};

TEST_CASE_METHOD(Fixture, "an event time is a number in its unit or a text") {
  config::EventTime ms{"ts", config::TimeUnit::milliseconds};
  config::EventTime s{"ts", config::TimeUnit::seconds};
  CHECK(ms.read(with(Value::integer(1'500))) == Time{1500ms});
  CHECK(ms.read(with(Value::real(1500.25))) == Time{1500250us});
  CHECK(s.read(with(Value::real(1.5))) == Time{1500ms});
  CHECK(s.read(with(Value::integer(-2))) == Time{-2s});
  CHECK(ms.read(with(Value::string("2026-03-01T12:00:00Z"))) == noon);
}

TEST_CASE_METHOD(Fixture, "what is no time, or lies outside the calendar, is nothing") {
  config::EventTime ms{"ts", config::TimeUnit::milliseconds};
  CHECK_FALSE(ms.read(record));
  CHECK_FALSE(ms.read(with(Value::null())));
  CHECK_FALSE(ms.read(with(Value::boolean(true))));
  CHECK_FALSE(ms.read(with(Value::string("yesterday"))));
  CHECK_FALSE(ms.read(with(Value::real(std::numeric_limits<double>::quiet_NaN()))));
  CHECK_FALSE(ms.read(with(Value::real(1e300))));
  CHECK_FALSE(ms.read(with(Value::integer(std::numeric_limits<std::int64_t>::max()))));
  CHECK_FALSE(ms.read(with(Value::integer(std::numeric_limits<std::int64_t>::min()))));
  CHECK_FALSE(config::EventTime{}.read(with(Value::integer(1))));
}

TEST_CASE_METHOD(Fixture, "a device is a text or an integer") {
  config::DeviceField device{"ts"};
  CHECK(device.read(with(Value::string("porch")), arena) == "porch");
  CHECK(device.read(with(Value::integer(-42)), arena) == "-42");
  CHECK(device.read(with(Value::real(1.5)), arena).empty());
  CHECK(config::DeviceField{"other"}.read(record, arena).empty());
}

}  // namespace
