#include "plugins/mqtt_source/topic.h"

#include <catch2/catch.hpp>

namespace {

using namespace millrace::mqtt_source;
using Levels = std::vector<std::pair<std::string_view, std::string_view>>;

TEST_CASE("topic filters may hold wildcards where MQTT allows them") {
  for (const char* filter : {"a", "a/b", "/", "+", "#", "a/+/c", "a/#", "+/+", "$share/g/a/#", "$share/g/+", "/a"})
    CHECK(problem_of_filter(filter) == "");
  for (const char* filter : {"", "a/#/b", "a#", "a/b+", "+a/b", "$share/g", "$share//a", "$share/g+/a", "$share/g/"})
    CHECK_FALSE(problem_of_filter(filter).empty());
}

TEST_CASE("a template takes the device and other names from a topic") {
  auto t = TopicTemplate::parse("plant/{site}/{device}/+/#").value();
  Levels others;
  CHECK(t.match("plant/north/d1/x", others) == "d1");
  REQUIRE(others.size() == 1);
  CHECK(others[0] == std::pair<std::string_view, std::string_view>("site", "north"));
  CHECK(t.match("plant/north/d1/x/y/z", others) == "d1");
  for (const char* topic : {"plant/north/d1", "plant", "other/north/d1/x", "", "plant/north"}) {
    CHECK(t.match(topic, others).empty());
    CHECK(others.empty());
  }
}

TEST_CASE("a template without # matches the whole topic only") {
  auto t = TopicTemplate::parse("devices/{device}").value();
  Levels others;
  CHECK(t.match("devices/a", others) == "a");
  CHECK(t.match("devices/a/b", others).empty());
  CHECK(t.match("devices/", others).empty());
}

TEST_CASE("a last # also stands for no level at all") {
  auto t = TopicTemplate::parse("devices/{device}/#").value();
  Levels others;
  CHECK(t.match("devices/a", others) == "a");
}

TEST_CASE("a template that cannot name a device is refused") {
  for (const char* text : {"", "a/b", "{site}", "#/{device}", "{device}/{device}", "x{device}", "{device", "a/+b/{device}"})
    CHECK(TopicTemplate::parse(text).has_error());
}

}  // namespace
