#include "runner/store/recording.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::store;

namespace {

using Catch::Matchers::Contains;

constexpr Time begin = from_millis(1'700'000'000'000);
constexpr Recording::Bounds wide{std::chrono::hours(24), 1U << 30U};

std::unique_ptr<Recording> opened(const std::filesystem::path& folder) {
  auto recording = Recording::open(folder, "line", {});
  if (!recording) FAIL(recording.error().what);
  return std::move(*recording);
}

RecordedBatch row(Duration after, const std::string& data = "x", std::uint32_t records = 1) {
  return {"in", begin + after, records, data};
}

std::vector<RecordedBatch> read(const std::filesystem::path& folder, Time from, Time to) {
  auto reader = RecordingReader::open(folder, "line");
  if (!reader) FAIL(reader.error().what);
  REQUIRE((*reader)->seek(from, to).has_value());
  std::vector<RecordedBatch> rows;
  for (;;) {
    auto next = (*reader)->next();
    if (!next) FAIL(next.error().what);
    if (!*next) return rows;
    rows.push_back(std::move(**next));
  }
}

}  // namespace

TEST_CASE("a recording gives back its rows in order, also while it is open for writing") {
  test::TempFolder folder;
  auto recording = opened(folder.path());
  std::vector<RecordedBatch> rows;
  for (int i = 0; i < 200; ++i) rows.push_back(row(std::chrono::seconds(i), std::string(static_cast<std::size_t>(i), 'd'), 2));
  REQUIRE(recording->append(rows, wide, begin + 200s).has_value());
  auto all = read(folder.path(), begin, begin + 1h);
  REQUIRE(all.size() == 200);
  CHECK((all[7].source == "in" && all[7].at == begin + 7s && all[7].records == 2 && all[7].data == "ddddddd"));
  auto some = read(folder.path(), begin + 10s, begin + 20s);
  REQUIRE(some.size() == 10);
  CHECK((some.front().at == begin + 10s && some.back().at == begin + 19s));
  CHECK(read(folder.path(), begin + 1h, begin + 2h).empty());
  CHECK(read(folder.path(), begin - 1h, begin).empty());

  auto reader = RecordingReader::open(folder.path(), "line");
  CHECK((*reader)->reach().value() == std::pair{begin, begin + 199s});
  CHECK((*reader)->sources().value() == std::vector<std::string>{"in"});
  REQUIRE(recording->append(std::vector{row(300s)}, wide, begin + 300s).has_value());
  CHECK((*reader)->reach().value()->second == begin + 300s);
}

TEST_CASE("what is older than a recording keeps goes, oldest first, and is counted in records") {
  test::TempFolder folder;
  auto recording = opened(folder.path());
  const Recording::Bounds minute{1min, 1U << 30U};
  REQUIRE(recording->append(std::vector{row(0s, "a", 3), row(30s, "b"), row(60s, "c")}, minute, begin + 60s)->by_age == 0);
  auto trimmed = recording->append(std::vector{row(91s, "d")}, minute, begin + 91s);
  REQUIRE(trimmed.has_value());
  CHECK((trimmed->by_age == 4 && trimmed->by_size == 0));
  CHECK(read(folder.path(), begin, begin + 1h).front().data == "c");
  CHECK(recording->append({}, minute, begin + 1h)->by_age == 2);
  CHECK(read(folder.path(), begin, begin + 1h).empty());
}

TEST_CASE("a recording stays within its bytes, the oldest making room, and its file with it") {
  test::TempFolder folder;
  auto recording = opened(folder.path());
  const Recording::Bounds small{std::chrono::hours(24), 1U << 20U};
  std::uint64_t gone = 0;
  const int written = 4000;
  for (int i = 0; i < written; ++i) {
    auto trimmed = recording->append(std::vector{row(std::chrono::seconds(i), std::string(1000, 'd'))}, small, begin + 2h);
    REQUIRE(trimmed.has_value());
    gone += trimmed->by_size;
    REQUIRE(recording->bytes() <= small.bytes);
  }
  auto left = read(folder.path(), begin, begin + 24h);
  CHECK(left.size() + gone == static_cast<std::size_t>(written));
  CHECK(left.size() > 500);
  CHECK(left.back().at == begin + std::chrono::seconds(written - 1));
  recording.reset();
  CHECK(std::filesystem::file_size(folder.path() / "recordings" / "line.db") <= small.bytes + (64U << 10U));
}

TEST_CASE("a file that is no recording is moved aside, and a new one begun") {
  test::TempFolder folder;
  std::filesystem::create_directories(folder.path() / "recordings");
  for (const std::string& text :
       {std::string("no database at all, but long enough to be taken for one"), std::string(8192, '\0')}) {
    std::ofstream(folder.path() / "recordings" / "line.db", std::ios::trunc) << text;
    std::string said;
    auto recording = Recording::open(folder.path(), "line", [&](LogLevel, std::string_view what) { said = what; });
    REQUIRE(recording.has_value());
    CHECK_THAT(said, Contains("corrupt-"));
    CHECK((*recording)->append(std::vector{row(0s)}, wide, begin).has_value());
    recording->reset();
    std::filesystem::remove(folder.path() / "recordings" / "line.db");
  }
}

TEST_CASE("a recording that is not there or is something else cannot be read") {
  test::TempFolder folder;
  CHECK_THAT(RecordingReader::open(folder.path(), "line").error().what, Contains("no recording of 'line'"));
  std::filesystem::create_directories(folder.path() / "recordings");
  std::ofstream(folder.path() / "recordings" / "line.db") << "not a database, whatever it may look like";
  CHECK_THAT(RecordingReader::open(folder.path(), "line").error().what, Contains("line.db"));
}
