#include "runner/supervise/recorder.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "runner/link/wire.h"
#include "runner/store/recording.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::supervise;

namespace {

constexpr Time begin = from_millis(1'700'000'000'000);

Batch readings(std::size_t count, std::size_t bytes) {
  Batch batch;
  for (std::size_t i = 0; i < count; ++i) {
    Record& record = batch.append();
    record.device = "a";
    record.time = record.arrival = begin;
    record.fields.push(batch.arena(), "text", Value::string(batch.arena().copy(std::string(bytes, 't'))));
  }
  return batch;
}

std::uint64_t count(StageFigures& figures, const char* name) { return figures.counted(name).value(); }

}  // namespace

TEST_CASE("a recorder writes what it was given, after a note that the process began") {
  test::TempFolder folder;
  VirtualClock clock(begin);
  auto figures = std::make_shared<StageFigures>();
  {
    Recorder recorder({folder.path(), "line", &clock, {}}, {}, true);
    recorder.take("in", readings(3, 10), figures);
    clock.set(begin + 5s);
    recorder.take("in", readings(2, 10), figures);
  }
  CHECK(count(*figures, "recorded") == 5);
  auto reader = store::RecordingReader::open(folder.path(), "line");
  REQUIRE(reader.has_value());
  REQUIRE((*reader)->seek(begin, begin + 1h).has_value());
  CHECK((*reader)->next().value()->source.empty());
  auto row = (*reader)->next().value();
  CHECK((row->source == "in" && row->at == begin && row->records == 3));
  auto batch = link::wire::decode_batch(row->data);
  REQUIRE(batch.has_value());
  CHECK(batch->records[2].fields.find("text")->as_text() == "tttttttttt");
  CHECK((*reader)->next().value()->at == begin + 5s);
  CHECK_FALSE((*reader)->next().value());
}

TEST_CASE("what does not fit into a recorder's queue is left out and counted") {
  test::TempFolder folder;
  VirtualClock clock(begin);
  auto figures = std::make_shared<StageFigures>();
  {
    Recorder recorder({folder.path(), "line", &clock, {}}, {}, false);
    Batch batch = readings(1000, 4000);  // more than a quarter of the queue: at most four can wait
    for (int i = 0; i < 200; ++i) recorder.take("in", batch, figures);
  }
  CHECK(count(*figures, "recording_left_out_queue_full") > 0);
  CHECK(count(*figures, "recorded") + count(*figures, "recording_left_out_queue_full") == 200'000);
}

TEST_CASE("a recorder whose disk does not take it goes on without, says so once and counts") {
  test::TempFolder folder;
  std::ofstream(folder.path() / "recordings") << "in the way of the folder";
  VirtualClock clock(begin);
  auto figures = std::make_shared<StageFigures>();
  int said = 0;
  {
    Recorder recorder({folder.path(), "line", &clock, [&](LogLevel, std::string_view) { ++said; }}, {}, true);
    recorder.take("in", readings(3, 10), figures);
  }
  CHECK(said == 1);
  CHECK(count(*figures, "recorded") == 0);
  CHECK(count(*figures, "recording_left_out_disk") == 3);
}
