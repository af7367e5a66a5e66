#include "runner/store/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <type_traits>
#include <utility>

#include "runner/store/database.h"
#include "runner/store/queries.h"
#include "runner/store/write_queue.h"
#include "runner/store/writer.h"

namespace millrace::store {
namespace {

// What came of trying to write a group.
struct Outcome {
  std::optional<Failure> failure;
  std::string what;
};

Outcome out_of_place() {
  return {Failure::passing,
          "it or its -wal was moved, removed or replaced while in use: put it back, or restart to go on with what is there"};
}

}  // namespace

struct Store::Impl {
  Impl(Options wanted, std::string where, DatabasePtr opened)
      : options(std::move(wanted)),
        path(std::move(where)),
        files(path),
        database(std::move(opened)),
        writer(*database, options.dead_letters_per_stage) {}

  void run(const std::stop_token& stop);
  void write_group(std::vector<PendingCommit> commits, std::vector<PendingLetter> letters, const std::stop_token& stop);
  Outcome try_write(std::span<const PendingCommit> commits, std::span<const PendingLetter> letters);
  Outcome write_until_passed(std::span<const PendingCommit> commits, std::span<const PendingLetter> letters,
                             const std::stop_token& stop);
  void write_inline(Commit commit, const Done& done);
  void answer(PendingCommit& pending, const Outcome& outcome);
  bool flush(std::chrono::milliseconds deadline);
  void note_pause(const Outcome& outcome);
  std::size_t commits_waiting() {
    std::lock_guard lock(mutex);
    return static_cast<std::size_t>(commits_offered - commits_answered);
  }
  void at(CommitPoint point) const {
    if (options.on_commit_point) options.on_commit_point(point);
  }
  void log(LogLevel level, const std::string& text) const {
    if (options.log) options.log(level, text);
  }

  template <class Query>
  Result<std::invoke_result_t<Query, SQLite::Database&>> read(Query query) {
    if (!flush(std::chrono::seconds(5)))
      return unavailable(fmt::format("history {}: earlier commits still wait for the disk", path));
    try {
      if (options.inline_commits) {
        std::lock_guard lock(inline_mutex);
        return query(*database);
      }
      std::lock_guard lock(read_mutex);
      if (!reader) {
        auto opened = open_history_to_read(std::filesystem::path(path).parent_path());
        if (!opened) return unavailable(opened.error().what);
        reader = std::move(*opened);
      }
      return query(*reader);
    } catch (const SQLite::Exception& error) {
      return unavailable(fmt::format("history {}: cannot be read: {}", path, error.what()));
    }
  }

  Options options;
  std::string path;
  const HistoryFiles files;
  Figures figures;

  DatabasePtr database;  // the writer's: its thread's alone, or guarded by inline_mutex
  HistoryWriter writer;
  std::mutex inline_mutex;

  std::chrono::steady_clock::time_point quiet_until{};  // the writer's, as is what follows
  bool said_pause = false;

  std::mutex read_mutex;
  DatabasePtr reader;  // guarded by read_mutex; opened at the first read

  std::mutex mutex;  // guards what follows
  std::condition_variable_any waiting, answered;
  WriteQueue queue;
  std::uint64_t commits_offered = 0, commits_answered = 0;
  std::uint64_t letters_offered = 0, letters_answered = 0;  // a dropped letter is answered with those that displaced it

  std::jthread thread;  // last: ends first
};

void Store::Impl::run(const std::stop_token& stop) {
  for (;;) {
    std::unique_lock lock(mutex);
    waiting.wait(lock, stop, [this] { return !queue.empty(); });
    if (queue.empty()) return;
    auto [commits, letters] = queue.take();
    figures.queued.set(queue.commits());
    const std::size_t count = commits.size();
    const std::uint64_t letters_taken = letters_offered;
    lock.unlock();
    write_group(std::move(commits), std::move(letters), stop);
    lock.lock();
    commits_answered += count;
    letters_answered = letters_taken;
    answered.notify_all();
  }
}

void Store::Impl::write_group(std::vector<PendingCommit> commits, std::vector<PendingLetter> letters,
                              const std::stop_token& stop) {
  Outcome outcome = write_until_passed(commits, letters, stop);
  if (outcome.failure == Failure::refused && commits.size() + letters.size() > 1) {
    // One of them can never be written: the others must not suffer for it.
    for (PendingCommit& pending : commits) answer(pending, write_until_passed({&pending, 1}, {}, stop));
    for (PendingLetter& pending : letters) {
      if (!write_until_passed({}, {&pending, 1}, stop).failure) pending.ack.settle();
    }
    return;
  }
  for (PendingCommit& pending : commits) answer(pending, outcome);
  if (!outcome.failure)
    for (PendingLetter& pending : letters) pending.ack.settle();
  at(CommitPoint::answered);
}

Outcome Store::Impl::write_until_passed(std::span<const PendingCommit> commits, std::span<const PendingLetter> letters,
                                        const std::stop_token& stop) {
  for (auto pause = options.retry_least;; pause = std::min(pause * 2, options.retry_most)) {
    Outcome outcome = try_write(commits, letters);
    note_pause(outcome);
    if (outcome.failure != Failure::passing || stop.stop_requested()) return outcome;
    std::unique_lock lock(mutex);
    waiting.wait_for(lock, stop, pause, [] { return false; });
  }
}

Outcome Store::Impl::try_write(std::span<const PendingCommit> commits, std::span<const PendingLetter> letters) {
  std::size_t rows = letters.size();
  std::size_t displaced = 0;
  if (!files.in_place()) return out_of_place();
  try {
    writer.begin();
    at(CommitPoint::begun);
    for (const PendingCommit& pending : commits) rows += writer.write(pending.commit);
    for (const PendingLetter& pending : letters) displaced += writer.write(pending.letter);
    at(CommitPoint::written);
    writer.commit();
  } catch (const SQLite::Exception& error) {
    writer.rollback();
    return {classify(error), error.what()};
  }
  at(CommitPoint::committed);
  if (!files.in_place()) return out_of_place();
  figures.transactions.add();
  figures.commits.add(commits.size());
  figures.rows.add(rows);
  figures.dead_letters.add(letters.size());
  figures.dead_letters_dropped.add(displaced);
  return {};
}

void Store::Impl::note_pause(const Outcome& outcome) {
  const bool damaged = outcome.failure == Failure::damaged;
  const bool paused = damaged || outcome.failure == Failure::passing;
  if (paused) figures.failed.add();
  const bool before = figures.paused.value() != 0;
  if (!paused && !before) return;
  if (paused != before) figures.paused.set(paused ? 1 : 0);
  // A disk that is full now and then must not fill the log, too; neither may a long pause be forgotten.
  const auto now = std::chrono::steady_clock::now();
  if (paused && now < quiet_until) return;
  if (!paused && !said_pause) return;
  said_pause = paused;
  if (paused) quiet_until = now + options.say_again;
  if (damaged)
    log(LogLevel::error, fmt::format("history {}: {}; alerts are no longer kept: restart, and it is put aside and begun anew",
                                     path, outcome.what));
  else if (paused)
    log(LogLevel::error, fmt::format("history {}: {}; history pauses until it can be written; {} commits wait", path,
                                     outcome.what, commits_waiting()));
  else
    log(LogLevel::info, fmt::format("history {}: is written again", path));
}

bool Store::Impl::flush(std::chrono::milliseconds deadline) {
  assert(std::this_thread::get_id() != thread.get_id() && "the writer thread cannot wait for itself");
  std::unique_lock lock(mutex);
  const std::uint64_t commits = commits_offered;
  const std::uint64_t letters = letters_offered;
  return answered.wait_for(lock, deadline, [&] { return commits_answered >= commits && letters_answered >= letters; });
}

void Store::Impl::answer(PendingCommit& pending, const Outcome& outcome) {
  Done done = std::move(pending.done);
  if (outcome.failure) figures.refused.add();
  if (!done) return;
  if (!outcome.failure) return done({});
  const std::string what = fmt::format("history {}: not written: {}", path, outcome.what);
  done(*outcome.failure == Failure::refused ? rejected(what) : unavailable(what));
}

void Store::Impl::write_inline(Commit commit, const Done& done) {
  PendingCommit pending{std::move(commit), done, 0};
  Outcome outcome;
  {
    std::lock_guard lock(inline_mutex);
    outcome = try_write({&pending, 1}, {});
    note_pause(outcome);
  }
  answer(pending, outcome);
  at(CommitPoint::answered);
}

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& folder, Options options) {
  auto opened = open_history({folder, options.check_budget, options.log});
  if (!opened) return opened.error();
  auto impl = std::make_unique<Impl>(std::move(options), (folder / history_file).string(), std::move(opened->database));
  if (opened->quarantined) impl->figures.quarantined.set(1);
  if (!impl->options.inline_commits)
    impl->thread = std::jthread([self = impl.get()](const std::stop_token& stop) { self->run(stop); });
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& folder) { return open(folder, {}); }

Result<std::unique_ptr<Store>> Store::in_memory() {
  auto database = open_memory_history();
  if (!database) return database.error();
  Options options;
  options.inline_commits = true;
  return std::unique_ptr<Store>(new Store(std::make_unique<Impl>(std::move(options), ":memory:", std::move(*database))));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Store::~Store() = default;

void Store::commit(Commit commit, Done done) {
  if (impl_->options.inline_commits) return impl_->write_inline(std::move(commit), done);
  const std::size_t bytes = bytes_of(commit);
  PendingCommit pending{std::move(commit), std::move(done), bytes};
  {
    std::lock_guard lock(impl_->mutex);
    // One that is larger than the whole queue is still taken when it is the only one: else it could never be written.
    const bool full = impl_->queue.commits() >= impl_->options.queue_commits ||
                      (impl_->queue.commits() > 0 && impl_->queue.bytes() + pending.bytes > impl_->options.queue_bytes);
    if (!full) {
      impl_->queue.push(std::move(pending));
      ++impl_->commits_offered;
      impl_->figures.queued.set(impl_->queue.commits());
      impl_->waiting.notify_all();
      return;
    }
  }
  impl_->figures.refused.add();
  if (pending.done)
    pending.done(overloaded(
        fmt::format("history {}: {} commits wait already; try again later", impl_->path, impl_->options.queue_commits)));
}

void Store::dead_letter(DeadLetter letter, Ack ack) {
  PendingLetter pending{std::move(letter), std::move(ack)};
  if (impl_->options.inline_commits) {
    Outcome outcome;
    {
      std::lock_guard lock(impl_->inline_mutex);
      outcome = impl_->try_write({}, {&pending, 1});
      impl_->note_pause(outcome);
    }
    if (!outcome.failure) pending.ack.settle();
    return;
  }
  std::vector<PendingLetter> dropped;
  {
    std::lock_guard lock(impl_->mutex);
    dropped = impl_->queue.push(std::move(pending), impl_->options.dead_letters_per_stage);
    ++impl_->letters_offered;
    impl_->waiting.notify_all();
  }
  impl_->figures.dead_letters_dropped.add(dropped.size());
  for (PendingLetter& gone : dropped) gone.ack.settle();
}

bool Store::flush(std::chrono::milliseconds deadline) { return impl_->flush(deadline); }

Result<std::vector<State>> Store::states(std::string_view pipeline, std::string_view stage) {
  return impl_->read([&](SQLite::Database& database) { return read_states(database, pipeline, stage); });
}

Result<std::vector<Notification>> Store::unsettled(std::string_view pipeline, std::string_view stage) {
  return impl_->read([&](SQLite::Database& database) { return read_unsettled(database, pipeline, stage); });
}

Result<std::vector<Delivery>> Store::pending_deliveries(std::string_view pipeline, std::string_view stage) {
  return impl_->read([&](SQLite::Database& database) { return read_pending_deliveries(database, pipeline, stage); });
}

Result<std::vector<Snapshot>> Store::snapshots(std::string_view pipeline, std::string_view stage) {
  return impl_->read([&](SQLite::Database& database) { return read_snapshots(database, pipeline, stage); });
}

Result<std::vector<Silence>> Store::silences(const SilenceFilter& filter) {
  return impl_->read([&](SQLite::Database& database) { return read_silences(database, filter); });
}

const std::string& Store::run_id() const { return impl_->writer.run_id(); }

const Store::Figures& Store::figures() const { return impl_->figures; }

}  // namespace millrace::store
