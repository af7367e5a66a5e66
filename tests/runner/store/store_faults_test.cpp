#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <random>

#include "rows.h"
#include "runner/store/data_folder.h"
#include "runner/store/history_reader.h"
#include "runner/store/store.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::store;
using namespace millrace::store::test_rows;

namespace {

namespace fs = std::filesystem;

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

Store::Options logging_to(std::vector<std::string>& logs) {
  Store::Options options;
  options.log = [&logs](LogLevel, std::string_view text) { logs.emplace_back(text); };
  return options;
}

// A whole history of `count` incidents, closed so that one file holds everything.
void make_history(const fs::path& folder, int count) {
  auto store = Store::open(folder).value();
  for (int i = 0; i < count; ++i) store->commit(opening("room-" + std::to_string(i), 1, 1000 * i), {});
  REQUIRE(store->flush());
}

// The exit status of `body` run in a process of its own, as nobody.
template <class Body>
int as_nobody(Body body) {
  pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t nobody = 65534;
    if (::getuid() == 0 && (::setgid(nobody) != 0 || ::setuid(nobody) != 0)) ::_exit(99);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

TEST_CASE("a file that is no history is put aside, told, and a new history begun") {
  test::TempFolder folder;
  const fs::path path = folder.path() / "history.db";
  std::string content;
  SECTION("text") { content = "This is not a database, but somebody's notes.\n" + std::string(5000, 'n'); }
  SECTION("a few bytes") { content = "x"; }
  SECTION("the right beginning and nothing else") { content = std::string("SQLite format 3\0", 16); }
  SECTION("a database cut short") {
    make_history(folder.path(), 50);
    content = bytes_of(path).substr(0, 9000);
  }
  SECTION("a zero page") {
    make_history(folder.path(), 200);
    content = bytes_of(path);
    std::memset(content.data() + 8192, 0, 4096);
  }
  write(path, content);
  std::vector<std::string> logs;
  auto store = Store::open(folder.path(), logging_to(logs));
  REQUIRE(store);
  CHECK((*store)->figures().quarantined.value() == 1);
  REQUIRE(logs.size() == 1);
  CHECK_THAT(logs[0], Catch::Matchers::Contains("damaged") && Catch::Matchers::Contains("history.db.corrupt-1"));
  CHECK(bytes_of(folder.path() / "history.db.corrupt-1") == content);
  (*store)->commit(opening("a", 1), {});
  CHECK((*store)->states("house", "climate").value().size() == 1);
  store->reset();
  write(path, content);
  REQUIRE(Store::open(folder.path(), logging_to(logs)));
  CHECK(fs::exists(folder.path() / "history.db.corrupt-2"));
}

TEST_CASE("an empty file becomes a history") {
  test::TempFolder folder;
  folder.write("history.db", "");
  std::vector<std::string> logs;
  auto store = Store::open(folder.path(), logging_to(logs));
  REQUIRE(store);
  CHECK((*store)->figures().quarantined.value() == 0);
  CHECK(logs.empty());
}

TEST_CASE("a healthy history opens without a word") {
  test::TempFolder folder;
  make_history(folder.path(), 100);
  std::vector<std::string> logs;
  REQUIRE(Store::open(folder.path(), logging_to(logs)));
  CHECK(logs.empty());
}

TEST_CASE("a history of a newer program is refused and left alone") {
  test::TempFolder folder;
  make_history(folder.path(), 3);
  const fs::path path = folder.path() / "history.db";
  std::string bytes = bytes_of(path);
  constexpr std::size_t user_version = 60;  // SQLite's file format, section 1.3: big-endian
  bytes[user_version + 2] = 3;
  write(path, bytes);
  auto store = Store::open(folder.path());
  REQUIRE_FALSE(store);
  CHECK(store.error().kind == ErrorKind::invalid);
  CHECK_THAT(store.error().what, Catch::Matchers::Contains("newer Millrace") && Catch::Matchers::Contains("schema 77"));
  CHECK(bytes_of(path) == bytes);
  auto reader = HistoryReader::open(folder.path());
  REQUIRE_FALSE(reader);
  CHECK_THAT(reader.error().what, Catch::Matchers::Contains("newer"));
}

TEST_CASE("whatever bytes are changed, a history opens, and what it serves was once written") {
  test::TempFolder folder;
  const fs::path original = folder.path() / "original";
  fs::create_directories(original);
  make_history(original, 40);
  const std::string bytes = bytes_of(original / "history.db");
  std::mt19937 random(5);
  int quarantined = 0;
  for (int trial = 0; trial < 80; ++trial) {
    const fs::path copy = folder.path() / "copy";
    fs::remove_all(copy);
    fs::create_directories(copy);
    std::string damaged = bytes;
    for (unsigned n = 1 + random() % 64; n > 0; --n) damaged[random() % damaged.size()] = static_cast<char>(random());
    write(copy / "history.db", damaged);
    INFO("trial " << trial);
    auto store = Store::open(copy);
    if (!store) {
      // The one damage that cannot be told from a choice: the schema version of a newer program.
      REQUIRE_THAT(store.error().what, Catch::Matchers::Contains("newer"));
      continue;
    }
    quarantined += static_cast<int>((*store)->figures().quarantined.value());
    bool answered = false;
    (*store)->commit(opening("new", 1), [&](Result<void> done) { answered = done.has_value(); });
    REQUIRE((*store)->flush());
    REQUIRE(answered);
    REQUIRE((*store)->states("house", "climate").has_value());
  }
  CHECK(quarantined > 10);
}

TEST_CASE("a folder that cannot be written to is a clear error at start") {
  test::TempFolder folder;
  const fs::path data = folder.path() / "data";
  fs::create_directories(data);
  fs::permissions(folder.path(), fs::perms(0755));
  SECTION("without a history") {}
  SECTION("with one") { make_history(data, 2); }
  fs::permissions(data, fs::perms(0555));
  const int status = as_nobody([&] {
    auto store = Store::open(data);
    if (store) return 1;
    return store.error().kind == ErrorKind::invalid && store.error().what.find("can be written to") != std::string::npos ? 42
                                                                                                                         : 2;
  });
  CHECK(status == 42);
}

TEST_CASE("a disk that is full at the start is a clear error") {
  test::TempFolder folder;
  fs::permissions(folder.path(), fs::perms(0777));
  const int status = as_nobody([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    struct rlimit none {};
    if (::setrlimit(RLIMIT_FSIZE, &none) != 0) return 3;
    auto store = Store::open(folder.path());
    if (store) return 1;
    return store.error().kind == ErrorKind::invalid && store.error().what.find("--data DIR") != std::string::npos ? 42 : 2;
  });
  CHECK(status == 42);
  CHECK_FALSE(fs::exists(folder.path() / "history.db.corrupt-1"));
}

TEST_CASE("every commit that was answered is there once after a kill, at any moment") {
  test::TempFolder folder;
  std::mt19937 random(11);
  std::vector<int> answered;
  int next = 0;
  for (int round = 0; round < 20; ++round) {
    int pipes[2];
    REQUIRE(::pipe(pipes) == 0);
    const int from = next;
    const int kill_point = static_cast<int>(random() % 5);
    const int kill_at = 1 + static_cast<int>(random() % 12);
    pid_t child = ::fork();
    if (child == 0) {
      int seen = 0;
      Store::Options options;
      // Within a transaction at one of its points, or, for point 4, from outside at any time.
      options.on_commit_point = [&](CommitPoint point) {
        if (static_cast<int>(point) == kill_point && ++seen == kill_at) ::raise(SIGKILL);
      };
      auto opened = Store::open(folder.path(), std::move(options));
      if (!opened) ::_exit(1);
      for (int i = from;; ++i) {
        // Each is offered twice, as a replay does.
        for (int again = 0; again < 2; ++again)
          (*opened)->commit(opening("k" + std::to_string(i), 1), [&pipes, i](Result<void> done) {
            if (done && ::write(pipes[1], &i, sizeof i) != sizeof i) ::_exit(1);
          });
        if (i % 10 == 0) (*opened)->flush();
      }
    }
    ::close(pipes[1]);
    int number = 0;
    const int most = 100 + static_cast<int>(random() % 400);
    for (int n = 0; n < most && ::read(pipes[0], &number, sizeof number) == sizeof number; ++n) answered.push_back(number);
    ::kill(child, SIGKILL);
    while (::read(pipes[0], &number, sizeof number) == sizeof number) answered.push_back(number);
    ::close(pipes[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    if (!answered.empty()) next = *std::max_element(answered.begin(), answered.end()) + 1;

    std::vector<std::string> logs;
    auto store = Store::open(folder.path(), logging_to(logs));
    REQUIRE(store);
    INFO("round " << round << ", point " << kill_point);
    REQUIRE(logs.empty());  // opening has run integrity_check
  }
  std::sort(answered.begin(), answered.end());
  answered.erase(std::unique(answered.begin(), answered.end()), answered.end());
  REQUIRE(answered.size() > 20);
  auto reader = HistoryReader::open(folder.path()).value();
  for (int i : answered) {
    const std::string id = incident_id(dedup_key("house", "climate", "hot", "k" + std::to_string(i)), 1);
    REQUIRE(reader->timeline(id).value().size() == 1);
    REQUIRE(reader->told(id).value().size() == 1);
  }
}

TEST_CASE("a data folder is made for its owner alone, and locked") {
  test::TempFolder folder;
  const fs::path data = folder.path() / "deep" / "data";
  CHECK_FALSE(DataFolder::holder(data));
  auto held = DataFolder::lock(data);
  REQUIRE(held.has_value());
  CHECK(fs::status(data).permissions() == fs::perms::owner_all);
  CHECK(held->path() == data);
  CHECK(held->control_socket() == data / "control.sock");
  CHECK(DataFolder::holder(data) == ::getpid());

  auto second = DataFolder::lock(data);
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().kind == ErrorKind::invalid);
  CHECK_THAT(second.error().what, Catch::Matchers::Contains("in use by process " + std::to_string(::getpid())));

  {
    DataFolder moved = std::move(*held);
    CHECK_FALSE(DataFolder::lock(data).has_value());
  }
  CHECK_FALSE(DataFolder::holder(data));
  CHECK(DataFolder::lock(data).has_value());
}

TEST_CASE("the lock of a killed process is free") {
  test::TempFolder folder;
  int pipes[2];
  REQUIRE(::pipe(pipes) == 0);
  pid_t child = ::fork();
  if (child == 0) {
    auto held = DataFolder::lock(folder.path());
    char ready = held ? 'y' : 'n';
    if (::write(pipes[1], &ready, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char ready = 'n';
  REQUIRE(::read(pipes[0], &ready, 1) == 1);
  REQUIRE(ready == 'y');
  CHECK(DataFolder::holder(folder.path()) == child);
  auto refused = DataFolder::lock(folder.path());
  REQUIRE_FALSE(refused.has_value());
  CHECK_THAT(refused.error().what, Catch::Matchers::Contains(std::to_string(child)));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(pipes[0]);
  ::close(pipes[1]);
  CHECK(DataFolder::lock(folder.path()).has_value());
}

TEST_CASE("a data folder in an impossible place is a clear error") {
  test::TempFolder folder;
  folder.write("file", "x");
  auto beneath_a_file = DataFolder::lock(folder.path() / "file" / "data");
  REQUIRE_FALSE(beneath_a_file.has_value());
  CHECK_THAT(beneath_a_file.error().what, Catch::Matchers::Contains("--data DIR"));
  auto a_file = DataFolder::lock(folder.path() / "file");
  REQUIRE_FALSE(a_file.has_value());
  fs::permissions(folder.path(), fs::perms(0755));
  const int status = as_nobody([&] {
    auto unwritable = DataFolder::lock(folder.path());
    return !unwritable && unwritable.error().what.find("Permission denied") != std::string::npos ? 42 : 1;
  });
  CHECK(status == 42);
}
