#include "runner/store/inbox.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "runner/store/inbox_log.h"

namespace millrace::store {
namespace {

namespace fs = std::filesystem;

constexpr auto sync_interval = std::chrono::milliseconds(100);

}  // namespace

Result<void> Inbox::Impl::roll(std::uint64_t record) {
  const std::uint64_t size = std::max(options.segment, (record + disk_page - 1) / disk_page * disk_page);
  const std::uint64_t first = origin + appended.load(std::memory_order_relaxed);
  std::lock_guard lock(mutex);
  if (!segments.empty() && segments.back()->end() == 0) {
    // Too small for this record, and its name is wanted.
    segment_bytes -= segments.back()->size();
    segments.back()->remove();
    segments.pop_back();
    active.reset();
  }
  const std::uint64_t most = options.limit + options.reserve;
  if (spare && spare->size() != size && bytes_on_disk() + size > most) {
    spare->remove();
    spare.reset();
  }
  const bool reuse = spare && spare->size() == size;
  if (!reuse && bytes_on_disk() + size > most)
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
  const Waker told = watcher;
  lock.unlock();
  told.wake();
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

void Inbox::Impl::begin_syncing() {
  if (options.sync == Sync::timed) syncing = std::jthread([this](const std::stop_token& stop) { keep_syncing(stop); });
}

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

Inbox::Inbox(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Inbox::~Inbox() = default;

void Inbox::adopt(Options options) {
  Impl::fit(options);
  impl_->syncing = {};
  {
    std::lock_guard lock(impl_->mutex);
    impl_->options = std::move(options);
    impl_->watcher = {};
  }
  impl_->begin_syncing();
}

void Inbox::watch(Waker reader) {
  std::lock_guard lock(impl_->mutex);
  impl_->watcher = std::move(reader);
}

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
  std::unique_lock lock(impl_->mutex);
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
  const Waker told = impl_->watcher;
  lock.unlock();
  told.wake();
}

double Inbox::fill() const {
  std::lock_guard lock(impl_->mutex);
  return static_cast<double>(impl_->bytes_in_use()) / static_cast<double>(impl_->options.limit);
}

std::uint64_t Inbox::bytes() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->bytes_in_use();
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
