#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <optional>

#include "opened_store.h"
#include "rows.h"
#include "runner/store/store.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::store;
using namespace millrace::store::test_rows;

namespace {

/// A disk on which a history's log cannot grow, as long as this lives.
class FullDisk {
 public:
  explicit FullDisk(const std::filesystem::path& folder) {
    std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    struct rlimit limited = before_;
    limited.rlim_cur = std::filesystem::file_size(folder / "history.db-wal");
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limited) == 0);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  struct rlimit before_ {};
};

}  // namespace

TEST_CASE("a disk that takes no more pauses history, and it resumes by itself with nothing lost") {
  test::TempFolder folder;
  std::mutex logs_mutex;
  std::vector<std::string> logs;
  Store::Options options;
  options.retry_least = options.retry_most = std::chrono::milliseconds(5);
  options.log = [&](LogLevel, std::string_view text) {
    std::lock_guard lock(logs_mutex);
    logs.emplace_back(text);
  };
  // The writer tells each attempt, so that the test need not guess when history has paused.
  std::mutex mutex;
  std::condition_variable tried;
  int attempts = 0;
  options.on_commit_point = [&](CommitPoint point) {
    if (point != CommitPoint::begun) return;
    std::lock_guard lock(mutex);
    ++attempts;
    tried.notify_all();
  };
  auto store = open(folder.path(), options);
  store->commit(opening("before", 1), {});
  REQUIRE(store->flush());

  std::optional<FullDisk> full(folder.path());
  Answers answers;
  for (int i = 0; i < 100; ++i) store->commit(opening(std::to_string(i), 1), answers.done());
  bool retried = false;
  {
    std::unique_lock lock(mutex);
    const int before = attempts;
    retried = tried.wait_for(lock, std::chrono::seconds(20), [&] { return attempts >= before + 3; });
  }
  const auto paused = store->figures().paused.value();
  const int good_while_full = [&] {
    std::lock_guard lock(answers.mutex);
    return answers.good;
  }();
  full.reset();
  CHECK(retried);
  CHECK(paused == 1);
  CHECK(good_while_full == 0);
  REQUIRE(answers.wait_for_good(100));
  CHECK(answers.bad.empty());
  CHECK(value(store->states("house", "climate")).size() == 101);
  CHECK(store->figures().paused.value() == 0);
  store.reset();
  REQUIRE(logs.size() == 2);
  CHECK_THAT(logs[0], Catch::Matchers::Contains("pauses"));
  CHECK_THAT(logs[1], Catch::Matchers::Contains("written again"));
}

TEST_CASE("a store that ends while its disk is full answers what waits with an error") {
  test::TempFolder folder;
  auto store = open(folder.path());
  store->commit(opening("before", 1), {});
  REQUIRE(store->flush());
  std::optional<FullDisk> full(folder.path());
  Answers answers;
  int refused = 0;
  store->commit(opening("a", 1), answers.done());
  store->dead_letter({"house", "calc", 0, "", "{}", "e"},
                     Ack([&](Settlement how) { refused += how == Settlement::refused ? 1 : 0; }));
  store.reset();
  full.reset();
  CHECK(answers.good == 0);
  REQUIRE(answers.bad.size() == 1);
  CHECK(answers.bad[0].kind == ErrorKind::unavailable);
  CHECK(refused == 1);
}

TEST_CASE("a history that was moved away pauses until it is back, and says so: nothing is answered that is in no history") {
  test::TempFolder folder;
  std::mutex mutex;
  std::condition_variable said;
  std::vector<std::string> logs;
  Store::Options options;
  options.retry_least = options.retry_most = std::chrono::milliseconds(5);
  options.log = [&](LogLevel, std::string_view text) {
    std::lock_guard lock(mutex);
    logs.emplace_back(text);
    said.notify_all();
  };
  const char* name = GENERATE("history.db", "history.db-wal");
  auto store = open(folder.path(), options);
  store->commit(opening("before", 1), {});
  REQUIRE(store->flush());
  std::filesystem::rename(folder.path() / name, folder.path() / "elsewhere");
  SECTION("nothing stands there") {}
  SECTION("another file stands there") { folder.write(name, ""); }
  Answers answers;
  store->commit(opening("while", 1), answers.done());
  {
    std::unique_lock lock(mutex);
    REQUIRE(said.wait_for(lock, std::chrono::seconds(20), [&] { return !logs.empty(); }));
    CHECK_THAT(logs[0], Catch::Matchers::Contains("history.db") &&
                            Catch::Matchers::Contains("moved, removed or replaced while in use: put it back, or restart") &&
                            Catch::Matchers::Contains("history pauses"));
  }
  CHECK(store->figures().paused.value() == 1);
  std::filesystem::rename(folder.path() / "elsewhere", folder.path() / name);
  REQUIRE(answers.wait_for_good(1));
  CHECK(answers.bad.empty());
  CHECK(value(store->states("house", "climate")).size() == 2);
  CHECK(store->figures().paused.value() == 0);
}
