#include "runner/store/inbox.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "runner/store/segment.h"
#include "runner/store/segment_reader.h"
#include "runner/store/settled_position.h"
#include "runner/store/settled_set.h"

namespace millrace::store {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t least_segment = 64U << 10U;
constexpr std::uint64_t disk_page = 4096;
constexpr auto sync_interval = std::chrono::milliseconds(100);

std::uint64_t clock_sequence() { return static_cast<std::uint64_t>(SystemClock().now().time_since_epoch().count()); }

// Sequences run modulo 2^64: which of two that lie close together comes first.
bool before(std::uint64_t a, std::uint64_t b) { return static_cast<std::int64_t>(a - b) < 0; }

struct Tail {
  std::uint64_t offset = 0, next = 0;
  bool clean = true;  // nothing but zeros behind
  bool torn = false;
};

// Goes through a segment up to its last good record.
Result<Tail> find_tail(const std::shared_ptr<Segment>& segment) {
  SegmentReader reader(segment);
  Tail tail{0, segment->first()};
  for (;;) {
    Decoded record = reader.peek(true, 1U << 20U);
    if (record.kind == Decoded::Kind::failed)
      return unavailable(fmt::format("inbox {}: cannot be read", segment->path().string()));
    if (record.kind == Decoded::Kind::record) {
      reader.skip(record);
      tail.offset = reader.offset();
      tail.next = reader.sequence();
    } else if (!reader.search()) {
      break;
    }
    // Damage with good records behind it is found again, and counted, by whoever reads it.
  }
  std::string buffer;
  auto rest = segment->read(tail.offset, segment->size(), buffer);
  if (!rest) return rest.error();
  // A file used before holds whole records of lower sequence there: no damage.
  const std::size_t trace = rest->find_first_not_of('\0');
  tail.clean = trace == std::string_view::npos;
  tail.torn = trace < record_header && decode_record(*rest).kind != Decoded::Kind::record;
  return tail;
}

}  // namespace

struct Inbox::Impl {
  Impl(fs::path where, Options wanted, std::unique_ptr<SettledPosition> opened)
      : folder(std::move(where)), options(std::move(wanted)), position(std::move(opened)) {}

  Result<void> load();
  Result<std::uint64_t> load_tail();
  Result<void> roll(std::uint64_t record);
  void settled_more(std::unique_lock<std::mutex> lock);
  std::vector<std::shared_ptr<Segment>> take_free();
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

  const fs::path folder;
  const Options options;
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

  std::atomic<std::uint64_t> appended{0};  // number of the next append

  std::shared_ptr<Segment> active;  // the appender's
  std::string scratch;

  SegmentReader reader, again;  // the reader's

  std::condition_variable_any stopped;
  std::jthread syncing;  // last: ends first
};

Result<void> Inbox::Impl::load() {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (auto first = sequence_of(entry.path())) found.emplace_back(*first, entry.path());
  if (error) return unavailable(fmt::format("inbox {}: cannot be read: {}", folder.string(), error.message()));
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return before(a.first, b.first); });
  for (auto& [first, path] : found) {
    auto segment = Segment::open(path, first);
    if (!segment) return segment.error();

    segment_bytes += (*segment)->size();
    segments.push_back(std::move(*segment));
  }
  fs::remove(folder / "spare", error);
  const auto kept = position->get();
  std::uint64_t next = kept.value_or(options.first_sequence.value_or(clock_sequence()));
  if (!segments.empty()) {
    auto tail = load_tail();
    if (!tail) return tail.error();
    next = *tail;
  }
  if (kept && before(next, *kept)) {
    // More was settled than the disk still has of the log, as after a power cut: those numbers are never given again.
    for (auto& segment : segments) segment->remove();
    segments.clear();
    segment_bytes = 0;
    next = *kept;
  }
  origin = segments.empty() ? next : segments.front()->first();
  const std::uint64_t mark = kept && before(origin, *kept) ? *kept - origin : 0;
  settled = SettledSet(mark);
  offered = mark;
  appended = next - origin;
  settled_more(std::unique_lock(mutex));
  if (!segments.empty()) {
    active = segments.back();
    reader = SegmentReader(segments.front());
  }
  return {};
}

// Finds where the log ends, and returns the sequence to go on with.
Result<std::uint64_t> Inbox::Impl::load_tail() {
  const std::shared_ptr<Segment>& last = segments.back();
  auto tail = find_tail(last);
  if (!tail) return tail.error();
  if (tail->torn) {
    figures.torn.add();
    log(LogLevel::warning,
        fmt::format("inbox {}: cut off an incomplete record at byte {}", last->path().string(), tail->offset));
  }
  const std::uint64_t size = std::max(last->size(), options.segment);
  segment_bytes += size - last->size();
  if (tail->clean && size == last->size()) {
    last->set_end(tail->offset);
  } else if (auto cut = last->cut(tail->offset, size); !cut) {
    return cut.error();
  }
  return tail->next;
}

Result<void> Inbox::Impl::roll(std::uint64_t record) {
  const std::uint64_t size = std::max(options.segment, (record + disk_page - 1) / disk_page * disk_page);
  const std::uint64_t first = origin + appended.load(std::memory_order_relaxed);
  std::lock_guard lock(mutex);
  if (!segments.empty() && segments.back()->end() == 0) {
    // Too small for this record, and its name is wanted.
    segment_bytes -= segments.back()->size();
    segments.back()->remove();
    segments.pop_back();
  }
  if (spare && spare->size() != size && bytes_on_disk() + size > options.limit) {
    spare->remove();
    spare.reset();
  }
  const bool reuse = spare && spare->size() == size;
  if (!reuse && bytes_on_disk() + size > options.limit)
    return overloaded(fmt::format("inbox {}: full, {} bytes wait to be handled", folder.string(), bytes_in_use()));
  auto made = reuse ? Segment::reuse(*spare, folder, first) : Segment::make(folder, first, size);
  if (reuse) spare.reset();
  if (!made) return made.error();
  if (options.sync != Sync::os) {
    int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0) {
      ::fsync(file);
      ::close(file);
    }
  }
  active = std::move(*made);
  segments.push_back(active);
  segment_bytes += size;
  return {};
}

// The segments that are settled whole, out of the list; the last one stays, as it is written to.
std::vector<std::shared_ptr<Segment>> Inbox::Impl::take_free() {
  std::vector<std::shared_ptr<Segment>> free;
  while (segments.size() > 1 && number(segments[1]->first()) <= settled.mark()) {
    segment_bytes -= segments.front()->size();
    free.push_back(std::move(segments.front()));
    segments.pop_front();
  }
  return free;
}

// Keeps the new position, and frees what lies before it: one segment is kept for reuse. Removing a file can take the disk
// milliseconds, for which the appender must not wait.
void Inbox::Impl::settled_more(std::unique_lock<std::mutex> lock) {
  position->set(first_unsettled());
  const auto free = take_free();
  if (free.empty()) return;
  const bool make_spare = !spare && !making_spare && free.front()->size() == options.segment;
  making_spare = making_spare || make_spare;
  lock.unlock();
  for (auto at = free.begin() + (make_spare ? 1 : 0); at != free.end(); ++at) (*at)->remove();
  if (!make_spare) return;
  std::error_code error;
  fs::rename(free.front()->path(), folder / "spare", error);
  auto opened = Segment::open(folder / "spare", 0);
  if (error) free.front()->remove();
  lock.lock();
  making_spare = false;
  if (!error && opened) spare = *opened;
}

std::uint64_t Inbox::Impl::bytes_in_use() const {
  return segments.empty() ? 0 : segment_bytes - segments.back()->size() + segments.back()->end();
}

std::uint64_t Inbox::Impl::bytes_on_disk() const { return segment_bytes + (spare ? spare->size() : 0); }

void Inbox::Impl::keep_syncing(const std::stop_token& stop) {
  std::vector<std::shared_ptr<Segment>> written;
  std::unique_lock lock(mutex);
  while (!stopped.wait_for(lock, stop, sync_interval, [&] { return stop.stop_requested(); })) {
    written.assign(segments.begin(), segments.end());
    lock.unlock();
    for (const auto& segment : written) segment->sync();
    lock.lock();
  }
}

// Readies `reader` for the next unsettled record; false if there is none yet.
bool Inbox::Impl::next_segment(SegmentReader& at) {
  std::lock_guard lock(mutex);
  if (segments.empty()) return false;
  if (!at.segment()) at = SegmentReader(segments.front());
  // What is settled meanwhile is passed over, and its file may have a new use.
  const std::uint64_t unsettled = first_unsettled();
  if (number(at.sequence()) < settled.mark()) {
    auto later = [&](const auto& segment) { return number(segment->first()) > number(unsettled); };
    auto holder = std::prev(std::find_if(segments.begin() + 1, segments.end(), later));
    if (*holder != at.segment()) at = SegmentReader(*holder);
  }
  while (at.at_end()) {
    auto next = std::find_if(segments.begin(), segments.end(), [&](const auto& segment) {
      return segment != at.segment() && !before(segment->first(), at.sequence());
    });
    // The appender ends a segment before it adds the next: its end is final now.
    if (next == segments.end() || !at.at_end()) return !at.at_end();
    const std::uint64_t expected = at.sequence();
    at = SegmentReader(*next);
    if (expected != at.sequence()) count_lost(expected, at.sequence());
  }
  return true;
}

// The records that stand one after another from `reader`, but for those whose number is below `from`.
Result<void> Inbox::Impl::fill(SegmentReader& at, std::uint64_t from, std::vector<Message>& messages, std::size_t max_messages,
                               std::size_t max_bytes) {
  std::size_t bytes = 0;
  while (messages.size() < max_messages && bytes < max_bytes && !at.at_end()) {
    Decoded record = at.peek(messages.empty(), max_bytes);
    if (record.kind != Decoded::Kind::record) {
      // What has been found already goes first; the next read() sees to the rest.
      if (!messages.empty()) break;
      if (record.kind == Decoded::Kind::failed)
        return unavailable(fmt::format("inbox {}: cannot be read", at.segment()->path().string()));
      pass_damage(at);
      break;
    }
    at.skip(record);
    if (number(record.message.sequence) < from) continue;
    bytes += record.size;
    const StoredMessage& stored = record.message;
    messages.push_back({stored.sequence, stored.arrival, stored.flags, stored.topic, stored.payload});
  }
  return {};
}

void Inbox::Impl::pass_damage(SegmentReader& at) {
  {
    std::lock_guard lock(mutex);
    auto here = std::find(segments.begin(), segments.end(), at.segment());
    // Settled while we looked: its file is being used anew, which is no damage.
    if (here == segments.end()) {
      at = reader_at(at.sequence());
      return;
    }
    // The preallocated rest of a segment of a former life.
    if (std::next(here) != segments.end() && (*std::next(here))->first() == at.sequence()) return at.finish();
  }
  const std::uint64_t expected = at.sequence();
  const std::uint64_t where = at.offset();
  const bool found = at.search();
  log(LogLevel::error, fmt::format("inbox {}: damaged at byte {}", at.segment()->path().string(), where));
  if (!found) return;  // the gap shows, and is counted, at the record that follows
  std::lock_guard lock(mutex);
  count_lost(expected, at.sequence());
}

void Inbox::Impl::count_lost(std::uint64_t first, std::uint64_t end) {
  const std::uint64_t lost = settled.add(number(first), number(end));
  if (lost == 0) return;
  figures.lost.add(lost);
  position->set(first_unsettled());
  log(LogLevel::error, fmt::format("inbox {}: {} messages are lost, from number {}", folder.string(), lost, first));
}

SegmentReader Inbox::Impl::reader_at(std::uint64_t sequence) {
  auto later = [&](const auto& segment) { return number(segment->first()) > number(sequence); };
  auto after = std::find_if(segments.begin(), segments.end(), later);
  return SegmentReader(after == segments.begin() ? *after : *std::prev(after));
}

// Reads from the first refused range; false if none is left.
Result<bool> Inbox::Impl::read_refused(std::vector<Message>& messages, std::size_t max_messages, std::size_t max_bytes) {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  {
    std::lock_guard lock(mutex);
    while (!refused.empty() && refused.begin()->second <= settled.mark()) refused.erase(refused.begin());
    if (refused.empty() || segments.empty()) return false;
    first = std::max(refused.begin()->first, settled.mark());
    end = refused.begin()->second;
    if (!again.segment() || again.sequence() != origin + first) again = reader_at(origin + first);
  }
  const bool more = next_segment(again);
  if (more) {
    auto filled = fill(again, first, messages, std::min<std::uint64_t>(max_messages, end - first), max_bytes);
    if (!filled) return filled.error();
  }
  while (!messages.empty() && number(messages.back().sequence) >= end) messages.pop_back();
  const std::uint64_t reached = number(again.sequence());
  if (more && reached <= first) return true;
  std::lock_guard lock(mutex);
  refused.erase(refused.begin());
  if (more && reached < end) refused.emplace(reached, end);
  return true;
}

void Inbox::Impl::drop_settled(std::vector<Message>& messages) {
  std::lock_guard lock(mutex);
  std::erase_if(messages, [this](const Message& message) { return settled.contains(number(message.sequence)); });
}

Result<std::unique_ptr<Inbox>> Inbox::open(const fs::path& folder, Options options) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return unavailable(fmt::format("inbox {}: cannot be made: {}", folder.string(), error.message()));
  options.segment = std::max(std::min(options.segment, options.limit / 8), least_segment) / disk_page * disk_page;
  auto position = SettledPosition::open(folder);
  if (!position) return position.error();
  auto impl = std::make_unique<Impl>(folder, std::move(options), std::move(*position));
  if (auto loaded = impl->load(); !loaded) return loaded.error();
  if (impl->options.sync == Sync::timed)
    impl->syncing = std::jthread([self = impl.get()](const std::stop_token& stop) { self->keep_syncing(stop); });
  return std::unique_ptr<Inbox>(new Inbox(std::move(impl)));
}

Result<std::unique_ptr<Inbox>> Inbox::open(const fs::path& folder) { return open(folder, {}); }

Inbox::Inbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Inbox::~Inbox() = default;

Result<std::uint64_t> Inbox::append(std::string_view topic, std::string_view payload, Time arrival, std::uint16_t flags) {
  constexpr std::size_t longest_topic = 65535;
  const std::uint64_t size = record_size(topic.size(), payload.size());
  if (topic.size() > longest_topic || size > impl_->options.limit / 2 || size > (1U << 31U)) {
    impl_->figures.refused.add();
    return rejected(fmt::format("inbox {}: a message of {} bytes is too large for a limit of {}", impl_->folder.string(),
                                payload.size(), impl_->options.limit));
  }
  if (!impl_->active || impl_->active->end() + size > impl_->active->size()) {
    if (auto rolled = impl_->roll(size); !rolled) {
      impl_->figures.refused.add();
      return rolled.error();
    }
  }
  const std::uint64_t sequence = impl_->origin + impl_->appended.load(std::memory_order_relaxed);
  encode_record(impl_->scratch, {sequence, arrival, flags, topic, payload});
  if (auto written = impl_->active->append(impl_->scratch, impl_->options.sync == Sync::always); !written) {
    impl_->figures.refused.add();
    return written.error();
  }
  impl_->appended.fetch_add(1, std::memory_order_release);
  impl_->figures.appended.add();
  return sequence;
}

Result<void> Inbox::read(std::vector<Message>& messages, std::size_t max_messages, std::size_t max_bytes) {
  messages.clear();
  max_messages = std::max<std::size_t>(max_messages, 1);
  max_bytes = std::max(max_bytes, record_header);
  while (messages.empty()) {
    auto refused = impl_->read_refused(messages, max_messages, max_bytes);
    if (!refused) return refused.error();
    if (!*refused) {
      if (!impl_->next_segment(impl_->reader)) break;
      std::uint64_t from = 0;
      {
        std::lock_guard lock(impl_->mutex);
        from = impl_->settled.mark();
      }
      if (auto filled = impl_->fill(impl_->reader, from, messages, max_messages, max_bytes); !filled) return filled;
      std::lock_guard lock(impl_->mutex);
      impl_->offered = std::max(impl_->offered, impl_->number(impl_->reader.sequence()));
    }
    impl_->drop_settled(messages);
  }
  return {};
}

void Inbox::settle(std::uint64_t first, std::uint64_t last) {
  std::unique_lock lock(impl_->mutex);
  const std::uint64_t mark = impl_->settled.mark();
  // A record can be read, and settled, a moment before its appender has counted it.
  const std::uint64_t known = std::max(impl_->appended.load(std::memory_order_acquire), impl_->offered);
  const std::uint64_t end = std::min(impl_->number(last + 1), known);
  impl_->settled.add(impl_->number(first), end);
  if (impl_->settled.mark() != mark) impl_->settled_more(std::move(lock));
}

void Inbox::refuse(std::uint64_t first, std::uint64_t last) {
  std::lock_guard lock(impl_->mutex);
  std::uint64_t begin = std::max(impl_->number(first), impl_->settled.mark());
  std::uint64_t end = std::min(impl_->number(last + 1), impl_->offered);
  if (begin >= end) return;
  auto at = impl_->refused.upper_bound(begin);
  if (at != impl_->refused.begin() && std::prev(at)->second >= begin) --at;
  while (at != impl_->refused.end() && at->first <= end) {
    begin = std::min(begin, at->first);
    end = std::max(end, at->second);
    at = impl_->refused.erase(at);
  }
  impl_->refused.emplace(begin, end);
}

double Inbox::fill() const {
  std::lock_guard lock(impl_->mutex);
  return static_cast<double>(impl_->bytes_in_use()) / static_cast<double>(impl_->options.limit);
}

std::uint64_t Inbox::unsettled() const {
  std::lock_guard lock(impl_->mutex);
  const std::uint64_t settled = impl_->settled.mark() + impl_->settled.above();
  return std::max(impl_->appended.load(std::memory_order_acquire), settled) - settled;
}

bool Inbox::drained() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->refused.empty() && impl_->offered >= impl_->appended.load(std::memory_order_acquire);
}

const Inbox::Figures& Inbox::figures() const { return impl_->figures; }

}  // namespace millrace::store
