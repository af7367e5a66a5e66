#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "runner/store/inbox.h"
#include "runner/store/segment.h"
#include "runner/store/segment_reader.h"
#include "runner/store/settled_position.h"
#include "runner/store/settled_set.h"

namespace millrace::store {

/// What an Inbox is made of. Opening is in inbox_opening.cpp, reading in inbox_reading.cpp, the rest in inbox.cpp.
struct Inbox::Impl {
  Impl(std::filesystem::path where, Options wanted, std::unique_ptr<SettledPosition> opened)
      : folder(std::move(where)), options(std::move(wanted)), position(std::move(opened)) {}

  Result<void> load();
  Result<std::uint64_t> load_tail();
  Result<void> roll(std::uint64_t record);
  void settled_more(std::unique_lock<std::mutex> lock);
  std::vector<std::shared_ptr<Segment>> take_free();
  static void fit(Options& options);
  void begin_syncing();
  void keep_syncing(const std::stop_token& stop);

  bool next_segment(SegmentReader& reader);
  Result<void> fill(SegmentReader& reader, std::uint64_t from, std::vector<Message>& messages, std::size_t max_messages,
                    std::size_t max_bytes);
  void pass_damage(SegmentReader& reader);
  void count_lost(std::uint64_t first, std::uint64_t end);
  Result<bool> read_refused(std::vector<Message>& messages, std::size_t max_messages, std::size_t max_bytes);
  void drop_settled(std::vector<Message>& messages);
  SegmentReader reader_at(std::uint64_t sequence);

  // Messages are numbered from `origin`, so that nothing else need know where sequences begin or that they wrap.
  std::uint64_t number(std::uint64_t sequence) const {
    const std::uint64_t n = sequence - origin;
    return static_cast<std::int64_t>(n) < 0 ? 0 : n;
  }
  std::uint64_t first_unsettled() const { return origin + settled.mark(); }
  std::uint64_t bytes_in_use() const;
  std::uint64_t bytes_on_disk() const;
  void log(LogLevel level, const std::string& text) const {
    if (options.log) options.log(level, text);
  }

  const std::filesystem::path folder;
  Options options;  // changes only while nobody appends or reads, under the mutex
  std::unique_ptr<SettledPosition> position;
  std::uint64_t origin = 0;
  Figures figures;

  mutable std::mutex mutex;  // guards what follows up to the next remark
  std::deque<std::shared_ptr<Segment>> segments;
  std::uint64_t segment_bytes = 0;  // of all of them
  std::shared_ptr<Segment> spare;
  bool making_spare = false;
  SettledSet settled;
  std::map<std::uint64_t, std::uint64_t> refused;  // numbers, first -> end
  std::uint64_t offered = 0;                       // numbers below have been read
  Waker watcher;

  std::atomic<std::uint64_t> appended{0};  // number of the next append

  std::shared_ptr<Segment> active;  // the appender's
  std::string scratch;

  SegmentReader reader, again;  // the reader's

  std::condition_variable_any stopped;
  std::jthread syncing;  // last: ends first
};

/// Sequences run modulo 2^64: which of two that lie close together comes first.
inline bool before(std::uint64_t a, std::uint64_t b) { return static_cast<std::int64_t>(a - b) < 0; }

/// What segments' sizes are multiples of.
inline constexpr std::uint64_t disk_page = 4096;

}  // namespace millrace::store
