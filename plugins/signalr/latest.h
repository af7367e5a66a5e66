#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plugins/signalr/encoded.h"

namespace millrace::signalr {

/// The newest record of each series (a device and a set of field names, on one target): what a client gets on joining, and what
/// a slow client gets in place of all it missed. At most `limit` series; a new one beyond takes the place of the one that has
/// been silent for longest.
class Latest {
 public:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  struct Series {
    std::uint64_t id = 0;
    std::string target;
    std::string group;  ///< "device:<id>", who may be interested
    std::string json;   ///< the record
    std::string messagepack;
    std::uint32_t older = none;
    std::uint32_t newer = none;

    Encoded record() const { return {json, messagepack}; }
  };

  explicit Latest(std::uint32_t limit) : limit_(limit) {}

  struct Updated {
    std::uint32_t place = none;
    bool evicted = false;  ///< the place belonged to another series: whoever was owed that one is owed nothing now
  };

  /// Stores a record. `id` identifies its series. With a limit of 0 nothing is kept, and the place is none.
  Updated update(std::uint64_t id, std::string_view target, std::string_view group, Encoded record);

  const Series& at(std::uint32_t place) const { return series_[place]; }

  /// Places run from 0 to size() - 1 and are all in use.
  std::uint32_t size() const { return static_cast<std::uint32_t>(series_.size()); }

 private:
  void unlink(std::uint32_t place);
  void make_newest(std::uint32_t place);

  std::uint32_t limit_;
  std::vector<Series> series_;
  std::unordered_map<std::uint64_t, std::uint32_t> places_;
  std::uint32_t oldest_ = none;
  std::uint32_t newest_ = none;
};

}  // namespace millrace::signalr
