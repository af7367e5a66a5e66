#pragma once

#include <algorithm>
#include <vector>

#include "plugins/alert/event_time.h"

namespace millrace::alert {

/// Whose turn is when: earliest first, equal times by name. An owner may have entries that no longer matter; it knows the one
/// that counts. Owners must outlive their entries.
template <class Owner>
class Deadlines {
 public:
  struct Entry {
    Micros at;
    Owner* owner;
  };

  Micros next() const { return entries_.empty() ? for_ever : entries_.front().at; }

  void push(Micros at, Owner& owner) {
    // There may be one for each key: room for twice as many would be wasted.
    if (entries_.size() == entries_.capacity()) entries_.reserve(entries_.size() + entries_.size() / 4 + 8);
    entries_.push_back({at, &owner});
    std::push_heap(entries_.begin(), entries_.end(), later);
  }

  Entry pop() {
    std::pop_heap(entries_.begin(), entries_.end(), later);
    Entry entry = entries_.back();
    entries_.pop_back();
    return entry;
  }

  std::size_t memory() const { return entries_.capacity() * sizeof(Entry); }

 private:
  static bool later(const Entry& a, const Entry& b) { return a.at != b.at ? a.at > b.at : b.owner->name < a.owner->name; }

  std::vector<Entry> entries_;
};

}  // namespace millrace::alert
