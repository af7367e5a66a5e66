#include "plugins/alert/stage_bench.h"

// Messages of which several records come, and which a source offers again.

using namespace millrace;
using namespace millrace::alert::test;

namespace {

const std::string each = R"(
rules:
  hot: {watch: {value: humidity}, above: 60, severity: warning}
  many: {watch: {count: humidity, records: 4}, at_least: 4, severity: info}
)";

/// Three records of one message, of one device or more.
std::vector<Reading> message(std::uint64_t number) {
  return {
      {"a", 1'000'000, 50, number}, {"b", 1'000'000, 50, number}, {"a", 1'000'001, 65, number}, {"a", 1'000'002, 50, number}};
}

const Lines rose_and_fell{"alert a OK>FIRING warning condition", "alert a FIRING>OK warning resolved"};

}  // namespace

TEST_CASE("every record of a message is looked at, also where several are of one key") {
  Bench bench(each);
  bench.feed(message(7));
  CHECK(bench.seen == rose_and_fell);
}

TEST_CASE("records of a source that keeps nothing, and so does not number them, are all looked at") {
  Bench bench(each);
  for (const Reading& reading : message(0)) {
    Batch batch = batch_of({reading});
    batch.records[0].source = 1;
    bench.host->time.set(batch.records[0].arrival);
    bench.note(bench.stage->process(std::move(batch)).value());
  }
  CHECK(bench.seen == rose_and_fell);
}

TEST_CASE("a message of several records that is offered again is looked at once") {
  Bench bench(each);
  bench.feed(message(7));
  bench.seen.clear();
  SECTION("while the stage runs") {}
  SECTION("after it has saved what it knows, and begun anew") {
    bench.note(bench.stage->finish(End::shutdown).value());
    bench.start();
  }
  bench.feed(message(7));
  bench.feed({{"a", 1'000'003, 50, 8}});
  CHECK(bench.seen == Lines{"alert a OK>FIRING info condition"});
}
