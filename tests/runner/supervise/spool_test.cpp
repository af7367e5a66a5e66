#include "runner/supervise/spool.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::supervise;

namespace {

struct Fixture {
  test::TempFolder folder;
  VirtualClock clock{from_millis(1'000'000)};
  store::Inboxes inboxes;
  Services services;
  std::shared_ptr<StageFigures> figures = std::make_shared<StageFigures>();
  std::vector<std::string> logs;

  Fixture() {
    services.clock = &clock;
    services.rooms[std::type_index(typeid(store::Inboxes))] = &inboxes;
    services.log = [this](LogLevel, std::string_view text) { logs.emplace_back(text); };
  }
  DiskSpool spool(const std::string& sender = "out") {
    store::Inbox::Options options;
    options.limit = 16U << 20U;
    return DiskSpool(folder.path() / "spool" / (sender + "+in"), std::move(options), services, figures, sender);
  }
  std::uint64_t gauge(const std::string& wanted) const {
    for (const auto& [name, value] : figures->gauges())
      if (name == wanted) return value;
    return 0;
  }
  std::uint64_t batches() const { return gauge("spooled_batches"); }
};

Batch numbered(int n, std::size_t bytes = 0) {
  Batch batch;
  Record& r = batch.append();
  r.device = "porch";
  r.source = 7;
  r.sequence = static_cast<std::uint64_t>(n);
  r.fields.push(batch.arena(), "n", Value::integer(n));
  r.fields.push(batch.arena(), "x", Value::string(batch.arena().copy(std::string(bytes, 'x'))));
  return batch;
}

std::int64_t number_of(const link::Envelope& envelope) { return envelope.batch->records.at(0).fields.find("n")->as_integer(); }

}  // namespace

TEST_CASE_METHOD(Fixture, "what was spooled and not settled is there after a restart, in order, as it was") {
  {
    DiskSpool spool = this->spool();
    CHECK(spool.empty());
    for (int n = 1; n <= 5; ++n) REQUIRE(spool.put(numbered(n)));
    CHECK_FALSE(spool.empty());
    CHECK(batches() == 5);
    spool.take()->ack.settle();
    CHECK(batches() == 4);
    auto taken = spool.take();
    REQUIRE(taken);
    CHECK(number_of(*taken) == 2);
  }
  DiskSpool again = this->spool();
  for (int n = 2; n <= 5; ++n) {
    auto envelope = again.take();
    REQUIRE(envelope);
    CHECK(number_of(*envelope) == n);
    CHECK(envelope->spooled);
    CHECK(envelope->batch->records[0].device == "porch");
    CHECK(envelope->batch->records[0].source == 7);
    CHECK(envelope->batch->records[0].sequence == static_cast<std::uint64_t>(n));
    envelope->ack.settle();
  }
  CHECK_FALSE(again.take());
  CHECK(again.empty());
}

TEST_CASE_METHOD(Fixture, "a spool is bounded, and takes more when some is settled; what is refused comes again") {
  DiskSpool spool = this->spool();
  int put = 0;
  while (spool.put(numbered(put, 100'000))) REQUIRE(++put < 1000);
  CHECK(put > 100);
  auto refused = spool.take();
  refused->ack.refuse();
  auto again = spool.take();
  REQUIRE(again);
  CHECK(number_of(*again) == 0);
  again->ack.settle();
  for (int n = 1; n < put / 2; ++n) spool.take()->ack.settle();
  CHECK(spool.put(numbered(put, 100'000)));
  CHECK(logs.empty());
}

TEST_CASE_METHOD(Fixture, "a disk that cannot be used is told once a second, and nothing is taken for kept") {
  folder.write("spool", "a file where a folder should be");
  DiskSpool spool = this->spool();
  for (int i = 0; i < 10; ++i) CHECK_FALSE(spool.put(numbered(i)));
  CHECK(logs.size() == 1);
  clock.set(clock.now() + 2s);
  CHECK_FALSE(spool.put(numbered(1)));
  CHECK(logs.size() == 2);
  CHECK_THAT(logs.front(), Catch::Contains("on_full: spool") && Catch::Contains("out+in"));
}

TEST_CASE_METHOD(Fixture, "of a stage with several inputs the gauge shows what all of them have on disk") {
  DiskSpool one = spool("one"), two = spool("two");
  for (int n = 1; n <= 3; ++n) REQUIRE(one.put(numbered(n, 1000)));
  const std::uint64_t of_one = gauge("spooled_bytes");
  CHECK(of_one > 3000);
  REQUIRE(two.put(numbered(1, 1000)));
  CHECK(batches() == 4);
  CHECK(gauge("spooled_bytes") > of_one + 1000);
  auto taken = two.take();
  REQUIRE(taken);
  taken->ack.settle();
  CHECK(batches() == 3);
  CHECK(gauge("spooled_bytes") == of_one);
}
