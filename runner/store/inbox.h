#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "runner/stage/context.h"
#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::store {

/// What a source has promised its peer to keep: a checksummed, preallocated, append-only log on disk. A message is in it once
/// append() has returned: a `kill -9` then loses nothing, a power cut loses at most what `sync` allows. What is not settled is
/// read again after a restart, in order; duplicates are possible, losses not.
///
/// Threads: one appender (a library's callback), one reader, and settle() and refuse() from any; none waits for another.
class Inbox {
 public:
  enum class Sync {
    os,      ///< the operating system writes when it likes: safe against a kill, not against a power cut
    timed,   ///< at most 100 ms are lost to a power cut
    always,  ///< every append is on the disk when it returns
  };

  struct Options {
    std::uint64_t limit = 1ULL << 30U;  ///< bytes on disk
    std::uint64_t reserve = 0;          ///< bytes beyond the limit, for what still comes while its sender is being told to stop
    std::uint64_t segment = 16ULL << 20U;  ///< bytes a file; made smaller if the limit holds fewer than eight
    Sync sync = Sync::os;
    std::optional<std::uint64_t> first_sequence;  ///< of a new log; default: the wall clock in microseconds, so that it rises
                                                  ///< even after the folder was deleted
    std::function<void(LogLevel, std::string_view)> log;
    std::function<void(std::uint64_t)> on_lost;  ///< told how many messages a damaged disk has taken; must not block
  };

  struct Message {
    std::uint64_t sequence = 0;  ///< rises by one
    Time arrival{};
    std::uint16_t flags = 0;  ///< the caller's
    std::string_view topic;
    std::string_view payload;
  };

  struct Figures {
    Counter appended;  ///< messages
    Counter refused;   ///< appends that found it full, or the disk unwilling
    Counter lost;      ///< messages that a damaged disk has taken; each damage is logged as an error
    Counter torn;      ///< incomplete records cut off at the end, at open
  };

  /// Opens or makes the log in `folder`. Reads the last segment only, so it takes milliseconds. A folder belongs to one Inbox
  /// at a time.
  static Result<std::unique_ptr<Inbox>> open(const std::filesystem::path& folder, Options options);
  static Result<std::unique_ptr<Inbox>> open(const std::filesystem::path& folder);

  /// Goes on by other options, but `first_sequence`, and wakes nobody until watch() says whom. While nobody appends or reads.
  void adopt(Options options);

  /// Whom to wake when messages are to be read again, or room has been made. Any thread.
  void watch(Waker reader);

  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  /// Keeps a message: one write(2). Returns its sequence; ErrorKind::overloaded if the log is full, unavailable if the disk
  /// refuses: the message is then not kept and must not be acknowledged.
  Result<std::uint64_t> append(std::string_view topic, std::string_view payload, Time arrival, std::uint16_t flags = 0);

  /// Replaces `messages` with the next ones that were neither read since open nor settled, those that were refused first. Empty
  /// if there are none. The views hold until the next read().
  Result<void> read(std::vector<Message>& messages, std::size_t max_messages, std::size_t max_bytes = 1U << 20U);

  /// Messages `first` to `last`, both included, need not be kept. In any order; room is freed once everything before is
  /// settled.
  void settle(std::uint64_t first, std::uint64_t last);

  /// Messages `first` to `last`, which were read, shall be read again.
  void refuse(std::uint64_t first, std::uint64_t last);

  /// Used part of the limit, 0 to 1: disconnect at 0.9, connect again at 0.5.
  double fill() const;

  /// What is used of the limit, in bytes: the files up to the last message, settled ones before it too.
  std::uint64_t bytes() const;

  /// How many messages are neither settled nor lost.
  std::uint64_t unsettled() const;

  /// True if nothing waits to be read.
  bool drained() const;

  const Figures& figures() const;

 private:
  struct Impl;
  explicit Inbox(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::store
