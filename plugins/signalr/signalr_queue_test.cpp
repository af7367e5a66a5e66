#include <catch2/catch.hpp>

#include <array>
#include <numeric>

#include "plugins/signalr/history.h"
#include "plugins/signalr/joined.h"
#include "plugins/signalr/latest.h"
#include "plugins/signalr/outgoing.h"
#include "plugins/signalr/publication.h"

using namespace millrace::signalr;
using namespace std::literals;

namespace {

SharedFrame telemetry(std::size_t bytes, std::vector<std::uint32_t> places) {
  auto frame = std::make_shared<Frame>();
  frame->bytes.assign(bytes, 't');
  frame->records = static_cast<std::uint32_t>(places.size());
  frame->series = std::move(places);
  return frame;
}

SharedFrame event(std::size_t bytes) {
  auto frame = std::make_shared<Frame>();
  frame->bytes.assign(bytes, 'e');
  frame->records = 1;
  return frame;
}

std::string unsent(const Outgoing& queue) {
  std::array<std::string_view, 16> pieces;
  std::string text;
  for (std::size_t i = 0, count = queue.front(pieces); i < count; ++i) text += pieces[i];
  return text;
}

}  // namespace

TEST_CASE("a queue gives its frames in order, from where the socket stopped") {
  Outgoing queue(100, SlowClient::newest);
  queue.push(event(3));
  queue.push(telemetry(4, {0}));
  CHECK(unsent(queue) == "eeetttt");
  queue.sent(5);
  CHECK(unsent(queue) == "tt");
  CHECK(queue.bytes() == 2);
  queue.sent(2);
  CHECK(queue.empty());
}

TEST_CASE("newest: what does not fit is owed, and so is all telemetry until that is paid") {
  Outgoing queue(10, SlowClient::newest);
  CHECK(queue.push(telemetry(8, {1})).conflated == 0);
  CHECK(queue.push(telemetry(8, {2, 3})).conflated == 2);
  CHECK(queue.push(telemetry(1, {2})).conflated == 1);  // would fit, but must not overtake
  CHECK(queue.bytes() == 8);
  CHECK(queue.owed().size() == 2);
  CHECK(queue.owed().has(2));
  CHECK(queue.owed().has(3));
  queue.owed().remove(2);
  queue.owed().remove(3);
  CHECK(queue.owed().empty());
  queue.sent(8);
  CHECK(queue.push(telemetry(8, {4})).conflated == 0);
}

TEST_CASE("newest: an event takes the place of telemetry, but not of what is half sent nor of other events") {
  Outgoing queue(10, SlowClient::newest);
  queue.push(telemetry(5, {1}));
  queue.sent(1);
  queue.push(event(2));
  queue.push(telemetry(4, {2}));
  auto pushed = queue.push(event(3));
  CHECK_FALSE(pushed.full);
  CHECK(pushed.conflated == 1);
  CHECK(unsent(queue) == "tttteeeee");
  CHECK(queue.bytes() == 9);
  CHECK(queue.push(event(2)).full);
  CHECK(unsent(queue) == "tttteeeee");
}

TEST_CASE("drop_oldest: the oldest telemetry goes, counted in records") {
  Outgoing queue(10, SlowClient::drop_oldest);
  queue.push(telemetry(4, {1, 2}));
  queue.push(event(2));
  queue.push(telemetry(4, {3}));
  auto pushed = queue.push(telemetry(4, {4}));
  CHECK(pushed.dropped == 2);
  CHECK(unsent(queue) == "eetttttttt");
  CHECK(queue.push(telemetry(9, {5})).dropped == 3);  // both that waited, and itself, beside the event
  CHECK(unsent(queue) == "ee");
}

TEST_CASE("disconnect: what does not fit ends the client") {
  Outgoing queue(10, SlowClient::disconnect);
  CHECK_FALSE(queue.push(telemetry(20, {1})).full);  // an empty queue takes any one frame
  CHECK(queue.push(telemetry(1, {1})).full);
}

TEST_CASE("discarding keeps the rest of a frame that has begun") {
  Outgoing queue(100, SlowClient::newest);
  queue.push(event(5));
  queue.push(event(6));
  queue.sent(2);
  queue.discard();
  CHECK(queue.bytes() == 3);
  queue.sent(3);
  CHECK(queue.empty());
  queue.push(event(5));
  queue.discard();
  CHECK(queue.empty());
  CHECK(queue.bytes() == 0);
}

TEST_CASE("newest: events displace the newest telemetry first, so that nothing older follows something newer") {
  Outgoing queue(10, SlowClient::newest);
  queue.push(telemetry(4, {1}));
  queue.push(telemetry(3, {2}));
  queue.push(telemetry(3, {3}));
  CHECK(queue.push(event(3)).conflated == 1);
  CHECK(unsent(queue) == "ttttttteee");
  CHECK(queue.owed().has(3));
  CHECK(queue.owed().size() == 1);
}

TEST_CASE("what is owed goes round, place by place") {
  Owed owed;
  auto take = [&owed] {
    std::uint32_t place = owed.next();
    owed.remove(place);
    return place;
  };
  for (std::uint32_t place : {5U, 70U, 1000U}) owed.add(place);
  owed.add(70);
  CHECK(owed.size() == 3);
  CHECK(take() == 5);
  owed.add(5);  // at once again: the others go first
  CHECK(take() == 70);
  CHECK(take() == 1000);
  CHECK(take() == 5);
  CHECK(owed.empty());
  for (std::uint32_t place : {3U, 4U}) owed.add(place);
  CHECK(take() == 3);
  owed.add(3);
  CHECK(take() == 4);
}

TEST_CASE("series of one device and channel are kin, told in the order of their newest records") {
  Latest latest(3);
  auto count = [&](std::uint64_t id, std::uint64_t kinship) {
    return latest.count({.id = id, .channel = {.target = "t"}, .group = "device:a", .kinship = kinship}).place;
  };
  auto kin_of = [&](std::uint32_t place) {
    std::vector<std::uint64_t> ids;
    latest.visit_kin(place, [&](std::uint32_t one) { ids.push_back(latest.at(one).id); });
    return ids;
  };
  using Ids = std::vector<std::uint64_t>;
  auto a = count(1, 7);
  CHECK(kin_of(a) == Ids{1});
  auto b = count(2, 7);
  count(3, 7);
  CHECK(kin_of(a) == Ids{1, 2, 3});
  count(1, 7);
  CHECK(kin_of(b) == Ids{2, 3, 1});
  count(3, 7);
  CHECK(kin_of(b) == Ids{2, 1, 3});
  auto other = count(9, 8);  // takes the place of 2
  CHECK(other == b);
  CHECK(kin_of(other) == Ids{9});
  CHECK(kin_of(a) == Ids{1, 3});
  count(4, 7);  // and this one that of 1
  CHECK(kin_of(a) == Ids{3, 4});
  count(9, 8);
  count(5, 8);  // and this one that of 3
  count(6, 8);  // and this one that of 4, the last of its kin
  CHECK(kin_of(b) == Ids{9, 5, 6});
}

TEST_CASE("frames that many are sent in a turn become one buffer, for each list of them") {
  Joined joined;
  std::vector<SharedFrame> first{event(3), event(4)}, second{event(2), telemetry(2, {1})};
  CHECK(joined.of(first).empty());  // between turns nothing is joined
  joined.begin();
  CHECK(joined.of(first).empty());  // one client alone does not pay for a copy
  CHECK(joined.of(second).empty());
  CHECK(joined.of(first) == "eeeeeee");
  CHECK(joined.of(second) == "eett");
  CHECK(joined.of(first) == "eeeeeee");
  CHECK(joined.of(std::span(first).first(1)).empty());
  CHECK(first[0].use_count() == 2);
  joined.end();
  CHECK(first[0].use_count() == 1);

  joined.begin();
  std::vector<SharedFrame> large{event(Joined::largest), event(1)};
  CHECK(joined.of(large).empty());
  CHECK(joined.of(large).empty());
  joined.end();
}

TEST_CASE("the latest record of each series is kept, the one silent for longest makes room") {
  Latest latest(2);
  auto update = [&](std::uint64_t id, const std::string& group, Encoded record) {
    auto updated = latest.count({.id = id, .channel = {.target = "t"}, .group = group});
    latest.store(updated.place, record);
    return updated;
  };
  CHECK(update(1, "device:a", {"a1", "A1"}).place == 0);
  CHECK(update(2, "device:b", {"b1", "B1"}).place == 1);
  CHECK(update(1, "device:a", {"a2", "A2"}).seq == 2);
  CHECK(latest.at(0).record().json == "a2"sv);
  CHECK(latest.at(0).record().messagepack == "A2"sv);
  auto updated = update(3, "device:c", {"c1", "C1"});
  CHECK(updated.evicted);
  CHECK(updated.place == 1);
  CHECK(latest.at(1).group == "device:c");
  CHECK(latest.size() == 2);
  auto back = update(2, "device:b", {"b2", "B2"});  // now a was the oldest
  CHECK(back.place == 0);
  CHECK(back.seq == 3);  // behind all that were evicted: b's second record is not its first again
  CHECK_FALSE(update(3, "device:c", {"c2", "C2"}).evicted);
}

TEST_CASE("a publication holds what each audience is to get") {
  millrace::Batch batch;
  auto& arena = batch.arena();
  auto& reading = batch.append();
  reading.device = "a";
  reading.time = millrace::from_millis(5);
  reading.fields.push(arena, "t", millrace::Value::real(1.0));
  auto& alert = batch.append();
  alert.device = "a";
  alert.kind = millrace::kind::alert;
  alert.fields.push(arena, "key", millrace::Value::string("plant"));
  auto& note = batch.append();
  note.kind = millrace::kind::notification;
  auto& window = batch.append();
  window.kind = millrace::kind::window;

  Publication publication(batch, "measurement");
  REQUIRE(publication.items().size() == 3);
  const auto& first = publication.items()[0];
  CHECK(publication.record(first).json == R"({"device":"a","time":5,"fields":{"t":1.0}})");
  CHECK(publication.record(first).messagepack ==
        "\x83\xA6"
        "device\xA1"
        "a\xA4time\x05\xA6"
        "fields\x81\xA1t\xCB\x3F\xF0"s +
            std::string(6, '\0'));
  CHECK(publication.channel(first).target == "measurement");
  CHECK(publication.group(first) == "device:a");
  CHECK(publication.other(first).empty());
  CHECK(first.telemetry);
  const auto& second = publication.items()[1];
  CHECK(publication.record(second).json == R"({"key":"plant"})");
  CHECK(publication.record(second).messagepack == "\x81\xA3key\xA5plant");
  CHECK(publication.channel(second).target == "alert");
  CHECK(publication.other(second) == "device:plant");
  CHECK_FALSE(second.telemetry);
  CHECK(publication.channel(publication.items()[2]).target == "window");
}

TEST_CASE("a series is its device, its target and the set of its fields") {
  millrace::Arena arena;
  auto id = [&](std::string_view target, std::string_view device, std::vector<std::string_view> names) {
    millrace::FieldList fields;
    for (auto name : names) fields.push(arena, name, millrace::Value::integer(1));
    return series_id(kinship_id(target, device), names_id(fields));
  };
  CHECK(id("t", "a", {"x", "y"}) == id("t", "a", {"y", "x"}));
  CHECK(id("t", "a", {"x", "y"}) != id("t", "a", {"x"}));
  CHECK(id("t", "a", {"x"}) != id("t", "b", {"x"}));
  CHECK(id("t", "a", {"x"}) != id("u", "a", {"x"}));
}

TEST_CASE("the history keeps the newest of each series, and bounds them all by bytes and age") {
  using std::chrono::seconds;
  const auto start = History::Clock::now();
  const Encoded record{"{\"v\":1}", "packed"};
  const std::size_t size = History::Kept(record).bytes();

  SECTION("records of a series") {
    History history({.records = 3});
    for (std::uint64_t seq = 5; seq <= 10; ++seq) history.keep(7, seq, record, start);
    CHECK(history.first(7, 10) == 8);
    CHECK_FALSE(history.at(7, 7));
    CHECK(history.at(7, 8));
    REQUIRE(history.at(7, 10));
    CHECK(history.at(7, 10)->record().messagepack == "packed"sv);
    CHECK_FALSE(history.at(7, 11));
    CHECK(history.bytes() == 3 * size);
    history.forget(7);
    CHECK(history.bytes() == 0);
    CHECK(history.first(7, 10) == 11);
    history.keep(7, 1, record, start);
    CHECK(history.first(7, 1) == 1);
  }
  SECTION("bytes of all") {
    History history({.records = 100, .bytes = 4 * size});
    for (std::uint64_t seq = 1; seq <= 3; ++seq) history.keep(0, seq, record, start);
    for (std::uint64_t seq = 1; seq <= 3; ++seq) history.keep(1, seq, record, start);
    CHECK(history.first(0, 3) == 3);
    CHECK(history.first(1, 3) == 1);
    CHECK(history.bytes() == 4 * size);
  }
  SECTION("age") {
    History history({.records = 100, .bytes = 1U << 20U, .age = seconds(10)});
    history.keep(0, 1, record, start);
    history.keep(0, 2, record, start + seconds(5));
    history.expire(start + seconds(10));
    CHECK(history.first(0, 2) == 2);
    history.expire(start + seconds(15));
    CHECK(history.first(0, 2) == 3);
    CHECK_FALSE(history.at(0, 2));
  }
  SECTION("a series that is much quicker than it is kept costs no more") {
    History history({.records = 1, .age = seconds(1000)});
    for (std::uint64_t seq = 1; seq <= 100'000; ++seq) history.keep(0, seq, record, start);
    CHECK(history.bytes() == size);
    CHECK(history.first(0, 100'000) == 100'000);
  }
  SECTION("nothing, if told so") {
    History history({.records = 0});
    history.keep(0, 1, record, start);
    CHECK(history.first(0, 1) == 2);
    CHECK_FALSE(history.at(0, 1));
  }
}
