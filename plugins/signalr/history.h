#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/signalr/encoded.h"

namespace millrace::signalr {

/// The last records of each series, for clients that missed some: within so many a series, and for all together within bytes
/// and age. What is kept of a series has no holes; what is not is gone from its beginning on. Belongs to its hub.
class History {
 public:
  using Clock = std::chrono::steady_clock;

  struct Limits {
    std::uint32_t records = 100;     ///< a series; 0 keeps nothing
    std::size_t bytes = 16U << 20U;  ///< of all, in both encodings
    std::chrono::milliseconds age = std::chrono::minutes(5);

    friend bool operator==(const Limits&, const Limits&) = default;
  };

  /// One record as it went out.
  class Kept {
   public:
    explicit Kept(Encoded record) : json_size_(record.json.size()) {
      text_.reserve(record.json.size() + record.messagepack.size());
      text_.append(record.json).append(record.messagepack);
    }
    Encoded record() const {
      std::string_view text(text_);
      return {text.substr(0, json_size_), text.substr(json_size_)};
    }
    std::size_t bytes() const { return text_.size() + sizeof(Kept); }

   private:
    std::string text_;
    std::size_t json_size_;
  };

  explicit History(Limits limits) : limits_(limits) {}

  /// Keeps record `seq` of the series at `place`, whose numbers follow one another.
  void keep(std::uint32_t place, std::uint64_t seq, Encoded record, Clock::time_point now);

  /// Another series has taken the place.
  void forget(std::uint32_t place);

  /// Drops what is too old.
  void expire(Clock::time_point now);

  /// The number of the oldest record kept of a series, or one more than that of its newest, `newest`, if none is.
  std::uint64_t first(std::uint32_t place, std::uint64_t newest) const;

  /// A record, or null if it is not kept. Valid until something is kept or dropped.
  const Kept* at(std::uint32_t place, std::uint64_t seq) const;

  std::size_t bytes() const { return bytes_; }

 private:
  struct Track {
    std::deque<Kept> records;
    std::uint64_t first = 0;  ///< number of the first of them
    std::uint64_t owner = 0;  ///< counts the series that have had the place
  };
  struct Arrival {
    std::uint32_t place;
    std::uint64_t owner;
    std::uint64_t seq;
    Clock::time_point at;
  };

  bool stands(const Arrival& arrival) const;
  void drop_first(Track& track);
  void drop_oldest();
  void compact();

  Limits limits_;
  std::vector<Track> tracks_;
  std::deque<Arrival> arrivals_;  ///< of all series; some may have been dropped already
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace millrace::signalr
