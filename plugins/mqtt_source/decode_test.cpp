#include "plugins/mqtt_source/decode.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/support/test_host.h"

namespace {

using namespace millrace;
using namespace mqtt_source;

struct Decoding {
  explicit Decoding(const std::string& device_topic = "devices/{device}/messages/#") {
    if (!device_topic.empty()) rules.device_topic = TopicTemplate::parse(device_topic).value();
    rules.catch_up = 60s;
    rules.source = 9;
  }
  Batch decode(std::string_view topic, std::string_view payload, Time arrival = Time{1000s}, bool backlog = false) {
    if (!decoder) decoder.emplace(rules, host->context());
    Batch batch;
    decoder->begin_batch();
    decoder->append(batch, {topic, payload, arrival, backlog, 4});
    return batch;
  }
  std::shared_ptr<test::TestHost> host = test::TestHost::make("porch");
  MessageDecoder::Rules rules;
  std::optional<MessageDecoder> decoder;
};

TEST_CASE("an object becomes a record with its device, times, topic and place in the source") {
  Decoding d;
  Batch batch = d.decode("devices/porch/messages/events/", R"({"temperature": 21.5, "n": 1})");
  REQUIRE(batch.size() == 1);
  const Record& r = batch.records[0];
  CHECK(r.device == "porch");
  CHECK(r.time == Time{1000s});
  CHECK(r.arrival == Time{1000s});
  CHECK(r.source == 9);
  CHECK(r.sequence == 4);
  REQUIRE(r.fields.size() == 2);
  CHECK(r.fields.find("temperature")->as_real() == 21.5);
  CHECK(r.meta.find("topic")->as_text() == "devices/porch/messages/events/");
}

TEST_CASE("a list of objects becomes as many records") {
  Decoding d;
  Batch batch = d.decode("devices/porch/messages/events/", R"([{"a":1},{"a":2},{"a":3}])");
  REQUIRE(batch.size() == 3);
  for (const Record& r : batch.records) {
    CHECK(r.device == "porch");
    CHECK(r.sequence == 4);
  }
}

TEST_CASE("one zero byte after the payload is forgiven, two are not") {
  Decoding d;
  using namespace std::string_view_literals;
  CHECK(d.decode("devices/a/messages/", "{\"a\":1}\0"sv).size() == 1);
  CHECK(d.decode("devices/a/messages/", "{\"a\":1}\0\0"sv).empty());
}

TEST_CASE("what is no object nor list of objects goes to the dead letters, with device and reason") {
  Decoding d;
  for (const char* payload :
       {"", "21.5", "\"text\"", "{\"a\":", "[1,2]", "{\"a\":1} x", "\xff\xfe", "{\"a\":\"\xc3\x28\"}", "[{\"a\":1},2]"}) {
    std::size_t before = d.host->rejects.size();
    CHECK(d.decode("devices/porch/messages/events/", payload).empty());
    REQUIRE(d.host->rejects.size() == before + 1);
    CHECK(d.host->rejects.back().device == "porch");
    CHECK(d.host->rejects.back().kind == ErrorKind::rejected);
    CHECK_THAT(d.host->rejects.back().what, Catch::Contains("no JSON object"));
  }
}

TEST_CASE("payloads of absurd depth are rejected") {
  Decoding d;
  std::string deep = "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  CHECK(d.decode("devices/porch/messages/events/", deep).empty());
  CHECK(d.host->rejects.size() == 1);
}

TEST_CASE("a bad message between good ones costs only itself") {
  Decoding d;
  d.decoder.emplace(d.rules, d.host->context());
  Batch batch;
  d.decoder->begin_batch();
  d.decoder->append(batch, {"devices/a/messages/", "{\"n\":1}", Time{}});
  d.decoder->append(batch, {"devices/a/messages/", "{\"n\":", Time{}});
  d.decoder->append(batch, {"devices/a/messages/", "{\"n\":3}", Time{}});
  REQUIRE(batch.size() == 2);
  CHECK(batch.records[1].device == "a");
  CHECK(batch.records[1].meta.find("topic")->as_text() == "devices/a/messages/");
  CHECK(d.host->rejects.size() == 1);
}

TEST_CASE("named levels of the topic are in the meta") {
  Decoding d("plant/{site}/{device}");
  Batch batch = d.decode("plant/north/press", "{}");
  CHECK(batch.records[0].device == "press");
  CHECK(batch.records[0].meta.find("site")->as_text() == "north");
}

TEST_CASE("a topic that names no device gives records without one, counted") {
  Decoding d;
  Batch batch = d.decode("elsewhere", "{}");
  CHECK(batch.records[0].device.empty());
  CHECK(d.host->counter("records_without_device").value() == 1);
}

TEST_CASE("device and event time may come from fields") {
  Decoding d("");
  d.rules.device_field.field = "deviceId";
  d.rules.time.field = "ts";
  Batch batch = d.decode("any", R"({"deviceId":"a","ts":900500})");
  CHECK(batch.records[0].device == "a");
  CHECK(batch.records[0].time == Time{900500ms});
  CHECK(batch.records[0].arrival == Time{1000s});
  batch = d.decode("any", R"({"deviceId":"a"})");
  CHECK(batch.records[0].time == Time{1000s});
  CHECK(d.host->counter("records_without_time").value() == 1);
}

TEST_CASE("a backlog arrives as it would have live, until it has been caught up with") {
  Decoding d;
  d.rules.time.field = "ts";
  auto arrival = [&](const char* payload, Time now) {
    return d.decode("devices/a/messages/", payload, now, true).records[0].arrival;
  };
  CHECK(arrival(R"({"ts":100000})", Time{1000s}) == Time{100s});
  CHECK(arrival(R"({"ts":300000})", Time{1000s}) == Time{300s});
  CHECK(arrival(R"({"ts":200000})", Time{1000s}) == Time{300s});
  CHECK_FALSE(d.decoder->caught_up());
  CHECK(arrival(R"({"ts":5000000})", Time{1001s}) == Time{1001s});
  CHECK(d.decoder->caught_up());
  CHECK_FALSE(d.decoder->caught_up());
}

TEST_CASE("catching up ends by itself when the events stay old") {
  Decoding d;
  d.rules.time.field = "ts";
  auto arrival = [&](Time now) { return d.decode("devices/a/messages/", R"({"ts":100000})", now, true).records[0].arrival; };
  CHECK(arrival(Time{1000s}) == Time{100s});
  CHECK(arrival(Time{1059s}) == Time{100s});
  CHECK_FALSE(d.decoder->caught_up());
  CHECK(arrival(Time{1060s}) == Time{1060s});
  CHECK(d.decoder->caught_up());
}

TEST_CASE("without a backlog an old event keeps its true arrival") {
  Decoding d;
  d.rules.time.field = "ts";
  Batch batch = d.decode("devices/a/messages/", R"({"ts":100000})");
  CHECK(batch.records[0].time == Time{100s});
  CHECK(batch.records[0].arrival == Time{1000s});
}

}  // namespace
