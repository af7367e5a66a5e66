#include "plugins/mqtt_sink/topic_pattern.h"

#include <catch2/catch.hpp>

namespace {

using namespace millrace;
using mqtt_sink::TopicPattern;

struct Fixture {
  Fixture() {
    Record& r = batch.append();
    r.device = "porch";
    r.fields.push(batch.arena(), "site", Value::string("north"));
    r.fields.push(batch.arena(), "n", Value::integer(-7));
    r.fields.push(batch.arena(), "on", Value::boolean(true));
    r.fields.push(batch.arena(), "x", Value::real(1.5));
    r.fields.push(batch.arena(), "evil", Value::string("a/#"));
    r.fields.push(batch.arena(), "empty", Value::string(""));
  }
  Result<std::string> fill(const char* pattern) {
    std::string topic;
    auto filled = TopicPattern::parse(pattern).value().fill(batch.records[0], topic);
    if (!filled) return filled.error();
    return topic;
  }
  Batch batch;
};

TEST_CASE_METHOD(Fixture, "holes are filled with device and fields") {
  CHECK(fill("plain").value() == "plain");
  CHECK(fill("devices/{device}/messages/events/").value() == "devices/porch/messages/events/");
  CHECK(fill("{site}/{n}/{on}-x").value() == "north/-7/true-x");
}

TEST_CASE_METHOD(Fixture, "a value that could reach another topic, or is none, rejects the record") {
  for (const char* pattern : {"{evil}", "{empty}", "{missing}", "{x}"}) {
    auto filled = fill(pattern);
    REQUIRE(filled.has_error());
    CHECK(filled.error().kind == ErrorKind::rejected);
  }
  batch.records[0].device = "a+b";
  CHECK(fill("devices/{device}").has_error());
}

TEST_CASE("a pattern that is no topic is refused") {
  for (const char* pattern : {"", "a/+", "a/#", "a/{", "a/{}", "a}", "{a"}) CHECK(TopicPattern::parse(pattern).has_error());
}

}  // namespace
