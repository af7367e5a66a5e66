#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/ack.h"
#include "runner/stage/context.h"
#include "runner/stage/error.h"
#include "runner/store/history.h"

namespace millrace::store {

/// The moments of a transaction at which a test may kill the process.
enum class CommitPoint { begun, written, committed, answered };

/// The history of one running instance: alerts, outbox, dead letters, snapshots, in one SQLite file (WAL, synchronous FULL).
///
/// One writer thread takes all commits that wait and writes them in one transaction, so that a burst costs one sync and a lone
/// commit about 0.1 ms. When the disk is full or away, history pauses: what waits stays waiting, is retried, and resumes by
/// itself; meanwhile the queue takes more up to its limit. Stages get it by Context::service<store::Store>(). All calls are
/// safe from any thread. The destructor writes what waits, if the disk lets it, then answers the rest with an error.
class Store {
 public:
  using Done = std::function<void(Result<void>)>;

  struct Options {
    /// Commit on the caller's thread, and call `done` before commit() returns: for virtual time.
    bool inline_commits = false;
    std::size_t queue_commits = 65536;     ///< commits that may wait
    std::size_t queue_bytes = 64U << 20U;  ///< their texts
    std::size_t dead_letters_per_stage = 10'000;
    /// How long the start may spend on checking each table of a large file.
    std::chrono::milliseconds check_budget{200};
    std::chrono::milliseconds retry_least{50}, retry_most{2000};
    std::chrono::milliseconds say_again{60'000};  ///< at most so often it is said that history pauses, or still does
    std::function<void(LogLevel, std::string_view)> log;
    std::function<void(CommitPoint)> on_commit_point;  ///< for tests
  };

  /// Figures of the whole store; the runner exports them as `millrace_history_<name>`.
  struct Figures {
    Counter commits, rows, transactions;
    Counter refused;               ///< commits answered with an error
    Counter failed;                ///< attempts at a transaction that the disk did not take
    Counter paused;                ///< gauge: 1 while the disk does not take commits
    Counter queued;                ///< gauge: commits that wait
    Counter dead_letters;          ///< written
    Counter dead_letters_dropped;  ///< the oldest, by the limit of a stage
    Counter quarantined;           ///< gauge: 1 if this start had to put a damaged file aside
  };

  /// Opens or makes `<folder>/history.db` and brings its schema up to date. The folder must exist and be locked (DataFolder). A
  /// file that is damaged or no database is moved to history.db.corrupt-<n>, logged as an error and counted, and a new one
  /// begun. A file of a newer Millrace, a read-only and a full folder are errors that say so.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder, Options options);
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder);

  /// A history in memory, for `millrace test` and `replay`: commits inline.
  static Result<std::unique_ptr<Store>> in_memory();

  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Writes all of `commit` or nothing. `done` is called exactly once: on the writer thread, where it must not block (post,
  /// then Waker::wake), or before commit() returns if the queue is full (ErrorKind::overloaded: nothing was written, offer it
  /// later) or commits are inline. Commits are written and answered in the order of the calls. An error of kind unavailable
  /// means that the store ended before it could write.
  void commit(Commit commit, Done done);

  /// Writes a dead letter, then settles `ack`. Never refuses: where too many wait, the oldest is dropped and counted, as the
  /// table itself does.
  void dead_letter(DeadLetter letter, Ack ack = {});

  /// Waits until everything committed so far is answered, or the deadline has passed (false).
  bool flush(std::chrono::milliseconds deadline = std::chrono::seconds(5));

  // What a stage reads at connect(). Each waits for earlier commits first (flush), so that a reloaded stage sees its
  // predecessor's last word; ErrorKind::unavailable while history pauses.
  Result<std::vector<State>> states(std::string_view pipeline, std::string_view stage);
  Result<std::vector<Notification>> unsettled(std::string_view pipeline, std::string_view stage);  ///< in order of creation
  Result<std::vector<Delivery>> pending_deliveries(std::string_view pipeline, std::string_view stage);
  Result<std::vector<Snapshot>> snapshots(std::string_view pipeline, std::string_view stage);
  Result<std::vector<Silence>> silences(const SilenceFilter& filter);

  const Figures& figures() const;

  /// Names this run of the program among those of this history: `run_id` of the events that it writes.
  const std::string& run_id() const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::store
