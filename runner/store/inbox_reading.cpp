#include <fmt/core.h>

#include <algorithm>

#include "runner/store/inbox_log.h"

namespace millrace::store {

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
  if (options.on_lost) options.on_lost(lost);
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

}  // namespace millrace::store
