#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "runner/stage/time.h"

namespace millrace::mqtt_source {

/// A message that need not be kept, as the library handed it over.
struct Arrival {
  std::string_view topic;
  std::string_view payload;
  Time time{};
  std::uint16_t flags = 0;  ///< the pusher's; not 0xFFFF
};

/// A bounded queue of bytes between the library's receive thread, which pushes, and the stage's, which takes. It never waits
/// nor allocates: messages are copied into a ring and read there. One pusher, one taker.
class Arrivals {
 public:
  explicit Arrivals(std::size_t bytes)
      : capacity_(std::bit_ceil(bytes < 4096 ? std::size_t{4096} : bytes)),
        ring_(std::make_unique_for_overwrite<char[]>(capacity_)) {}

  /// False if there is no room: the message is not in the queue.
  bool push(const Arrival& arrival) {
    std::size_t size = entry_size(arrival.topic.size(), arrival.payload.size());
    std::uint64_t end = end_.load(std::memory_order_relaxed);
    std::size_t to_edge = capacity_ - at(end);
    // An entry lies in one piece; where it would cross the edge, the rest before the edge is skipped.
    std::size_t skipped = to_edge < size ? to_edge : 0;
    if (end + skipped + size - begin_.load(std::memory_order_acquire) > capacity_) return false;
    if (skipped != 0) {
      put(end, Head{0, skip, 0, 0});
      end += skipped;
    }
    put(end, Head{static_cast<std::uint16_t>(arrival.topic.size()), arrival.flags,
                  static_cast<std::uint32_t>(arrival.payload.size()), arrival.time.time_since_epoch().count()});
    char* text = &ring_[at(end) + sizeof(Head)];
    std::memcpy(text, arrival.topic.data(), arrival.topic.size());
    std::memcpy(text + arrival.topic.size(), arrival.payload.data(), arrival.payload.size());
    end_.store(end + size, std::memory_order_release);
    return true;
  }

  /// Hands up to `count` messages that came until then, and no more once `bytes` of payload have been, to `f`; what they view
  /// is valid during the call.
  template <class F>
  std::size_t take(std::size_t count, std::size_t bytes, F&& f, Time until = Time::max()) {
    std::uint64_t begin = begin_.load(std::memory_order_relaxed);
    std::uint64_t end = end_.load(std::memory_order_acquire);
    std::size_t taken = 0;
    for (std::size_t seen = 0; begin != end && taken < count && seen < bytes;) {
      Head head;
      std::memcpy(&head, &ring_[at(begin)], sizeof head);
      if (head.flags == skip) {
        begin += capacity_ - at(begin);
        continue;
      }
      if (Time{Duration(head.time)} > until) break;
      const char* text = &ring_[at(begin) + sizeof(Head)];
      f(Arrival{{text, head.topic}, {text + head.topic, head.payload}, Time{Duration(head.time)}, head.flags});
      begin += entry_size(head.topic, head.payload);
      seen += head.payload;
      ++taken;
    }
    begin_.store(begin, std::memory_order_release);
    return taken;
  }

  std::size_t capacity() const { return capacity_; }

  /// Bytes in use; a moment later it may be another figure.
  std::size_t used() const {
    std::uint64_t begin = begin_.load(std::memory_order_acquire);
    return static_cast<std::size_t>(end_.load(std::memory_order_acquire) - begin);
  }

 private:
  struct Head {
    std::uint16_t topic;  // MQTT has no longer ones
    std::uint16_t flags;
    std::uint32_t payload;
    std::int64_t time;
  };
  static constexpr std::uint16_t skip = 0xFFFF;

  // A multiple of the head's size, so that there is room for a head before the edge.
  static std::size_t entry_size(std::size_t topic, std::size_t payload) {
    return (sizeof(Head) + topic + payload + sizeof(Head) - 1) / sizeof(Head) * sizeof(Head);
  }
  std::size_t at(std::uint64_t position) const { return static_cast<std::size_t>(position) & (capacity_ - 1); }
  void put(std::uint64_t position, const Head& head) { std::memcpy(&ring_[at(position)], &head, sizeof head); }

  const std::size_t capacity_;
  const std::unique_ptr<char[]> ring_;
  alignas(64) std::atomic<std::uint64_t> end_{0};    // the pusher's
  alignas(64) std::atomic<std::uint64_t> begin_{0};  // the taker's
};

}  // namespace millrace::mqtt_source
