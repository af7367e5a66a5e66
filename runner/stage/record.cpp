#include "runner/stage/record.h"

#include <iterator>
#include <utility>

namespace millrace {

Arena& Batch::arena() {
  if (!arena_) arena_ = std::make_shared<Arena>();
  return *arena_;
}

Record& Batch::append_copy(const Record& record) {
  Arena& to = arena();
  Record& copy = records.emplace_back(record);
  copy.device = to.copy(record.device);
  copy.kind = record.kind == kind::telemetry ? kind::telemetry : to.copy(record.kind);
  copy.fields = record.fields.copy(to);
  copy.meta = record.meta.copy(to);
  return copy;
}

void Batch::splice(Batch&& other) {
  if (other.arena_) borrowed_.push_back(std::move(other.arena_));
  std::move(other.borrowed_.begin(), other.borrowed_.end(), std::back_inserter(borrowed_));
  records.insert(records.end(), other.records.begin(), other.records.end());
  other.records.clear();
  other.borrowed_.clear();
}

Batch Batch::copy() const {
  Batch batch;
  batch.borrowed_ = borrowed_;
  if (arena_) batch.borrowed_.push_back(arena_);
  batch.records = records;
  Arena& to = batch.arena();
  for (Record& r : batch.records) {
    r.fields = r.fields.shallow_copy(to);
    r.meta = r.meta.shallow_copy(to);
  }
  return batch;
}

std::size_t Batch::bytes() const {
  std::size_t total = records.size() * sizeof(Record);
  if (arena_) total += arena_->used();
  for (const auto& arena : borrowed_) total += arena->used();
  return total;
}

}  // namespace millrace
