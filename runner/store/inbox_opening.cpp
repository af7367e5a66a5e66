#include <fmt/core.h>

#include <algorithm>

#include "runner/store/inbox_log.h"

namespace millrace::store {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t least_segment = 64U << 10U;

std::uint64_t clock_sequence() { return static_cast<std::uint64_t>(SystemClock().now().time_since_epoch().count()); }

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

void Inbox::Impl::fit(Options& options) {
  options.segment = std::max(std::min(options.segment, options.limit / 8), least_segment) / disk_page * disk_page;
}

Result<void> Inbox::Impl::load() {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (auto first = sequence_of(entry->path())) found.emplace_back(*first, entry->path());
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

Result<std::unique_ptr<Inbox>> Inbox::open(const fs::path& folder, Options options) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return unavailable(fmt::format("inbox {}: cannot be made: {}", folder.string(), error.message()));
  Impl::fit(options);
  auto position = SettledPosition::open(folder);
  if (!position) return position.error();
  auto impl = std::make_unique<Impl>(folder, std::move(options), std::move(*position));
  if (auto loaded = impl->load(); !loaded) return loaded.error();
  impl->begin_syncing();
  return std::unique_ptr<Inbox>(new Inbox(std::move(impl)));
}

Result<std::unique_ptr<Inbox>> Inbox::open(const fs::path& folder) { return open(folder, {}); }

}  // namespace millrace::store
