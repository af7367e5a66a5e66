#include <algorithm>
#include <functional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "runner/link/link.h"

namespace millrace::link {
namespace {

/// Telemetry of one series: the same device and the same set of field names.
std::uint64_t series_of(const Record& record) {
  std::uint64_t names = 0;  // a sum, so that the order of the fields means nothing
  for (const Field& field : record.fields) names += std::hash<std::string_view>{}(field.name) | 1U;
  return std::hash<std::string_view>{}(record.device) * 31U + names;
}

}  // namespace

Queue::Queue(Limits limits, Overflow overflow, Counters& counters, std::unique_ptr<Spool> spool)
    : limits_(limits), overflow_(overflow), counters_(counters), spool_(std::move(spool)), conflate_at_(limits) {}

bool Queue::full() const {
  if (!over()) return false;
  return overflow_ == Overflow::block || overflow_ == Overflow::spool || (overflow_ == Overflow::newest && nothing_older_);
}

void Queue::push(Envelope envelope) {
  Waiting waiting{std::move(envelope), 0, 0};
  if (waiting.envelope.batch) {
    waiting.records = waiting.envelope.batch->size();
    waiting.bytes = waiting.envelope.batch->bytes();
    counters_.records_in.add(waiting.records);
  }
  bool fits = records_ + waiting.records <= limits_.records && bytes_ + waiting.bytes <= limits_.bytes;
  // A batch larger than the whole queue still goes through an empty one.
  if (overflow_ == Overflow::drop_newest && !fits && !queue_.empty() && waiting.envelope.batch) {
    if (counters_.dropped_newest) counters_.dropped_newest->add(waiting.records);
    waiting.envelope.ack.settle();
    return;
  }
  records_ += waiting.records;
  bytes_ += waiting.bytes;
  queue_.push_back(std::move(waiting));
  if (over() && overflow_ == Overflow::drop_oldest) drop_oldest();
  if (overflow_ == Overflow::newest && conflation_due()) keep_newest();
  if (over() && overflow_ == Overflow::spool) spool_all();
  show();
}

std::optional<Envelope> Queue::pop() {
  if (spool_) {
    if (auto first = spool_->take()) {
      if (over() && overflow_ == Overflow::spool) spool_all();
      show();
      return first;
    }
  }
  if (queue_.empty()) return std::nullopt;
  Waiting waiting = std::move(queue_.front());
  queue_.pop_front();
  forget(waiting);
  show();
  return std::move(waiting.envelope);
}

void Queue::forget(const Waiting& waiting) {
  records_ -= waiting.records;
  bytes_ -= waiting.bytes;
  if (!over()) nothing_older_ = false, conflate_at_ = limits_;
}

void Queue::show() {
  counters_.depth_records.set(records_);
  counters_.depth_bytes.set(bytes_);
}

std::deque<Envelope> Queue::clear() {
  std::deque<Envelope> all;
  for (Waiting& waiting : std::exchange(queue_, {})) all.push_back(std::move(waiting.envelope));
  records_ = bytes_ = 0;
  show();
  return all;
}

bool Queue::spool(const Envelope& envelope) {
  return spool_ && overflow_ == Overflow::spool && envelope.batch && spool_->put(*envelope.batch);
}

/// All of the queue, so that what is on disk stays older than what is in memory.
void Queue::spool_all() {
  while (!queue_.empty() && spool(queue_.front().envelope)) {
    forget(queue_.front());
    queue_.front().envelope.ack.settle();
    queue_.pop_front();
  }
}

void Queue::drop_oldest() {
  while (over() && queue_.size() > 1 && queue_.front().envelope.batch) {
    Waiting oldest = std::move(queue_.front());
    queue_.pop_front();
    forget(oldest);
    if (counters_.dropped_oldest) counters_.dropped_oldest->add(oldest.records);
    oldest.envelope.ack.settle();
  }
}

// Goes through the whole queue, so it runs again only once that has grown by a quarter of its limit: its cost is spread over
// the records that came in between, also where the newest alone nearly fill the queue, or more than that.
void Queue::keep_newest() {
  std::unordered_set<std::uint64_t> seen;
  std::deque<Waiting> kept;
  std::size_t conflated = 0;
  records_ = bytes_ = 0;
  for (auto waiting = queue_.rbegin(); waiting != queue_.rend(); ++waiting) {
    if (!waiting->envelope.batch) {
      kept.push_front(std::move(*waiting));
      continue;
    }
    Batch out;
    const auto& records = waiting->envelope.batch->records;
    std::vector<const Record*> survivors;
    for (auto record = records.rbegin(); record != records.rend(); ++record)
      if (record->kind != kind::telemetry || seen.insert(series_of(*record)).second) survivors.push_back(&*record);
    conflated += records.size() - survivors.size();
    if (survivors.empty()) {
      waiting->envelope.ack.settle();
      continue;
    }
    if (survivors.size() < records.size()) {
      // A deep copy, so that the memory of what was replaced goes.
      for (auto record = survivors.rbegin(); record != survivors.rend(); ++record) out.append_copy(**record);
      waiting->envelope.batch = std::make_shared<Batch>(std::move(out));
      waiting->envelope.shared = false;
      waiting->records = waiting->envelope.batch->size();
      waiting->bytes = waiting->envelope.batch->bytes();
    }
    records_ += waiting->records;
    bytes_ += waiting->bytes;
    kept.push_front(std::move(*waiting));
  }
  queue_ = std::move(kept);
  nothing_older_ = over();
  conflate_at_ = {std::max(limits_.records, records_ + limits_.records / 4),
                  std::max(limits_.bytes, bytes_ + limits_.bytes / 4)};
  if (counters_.conflated) counters_.conflated->add(conflated);
}

}  // namespace millrace::link
