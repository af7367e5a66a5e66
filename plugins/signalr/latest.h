#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plugins/signalr/audience.h"
#include "plugins/signalr/encoded.h"

namespace millrace::signalr {

/// The newest record of each series (a device and a set of field names, on one channel): what a client gets on joining, and
/// what a slow client gets in place of all it missed. Numbers the records of each series, from 1. At most `limit` series; a new
/// one beyond takes the place of the one that has been silent for longest.
///
/// Series of one device on one channel are kin. They may share fields, so that only the newest records of all of them, in the
/// order in which they came, add up to the newest value of each field.
class Latest {
 public:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  struct Series {
    std::uint64_t id = 0;
    Channel channel;
    std::string group;        ///< "device:<id>", who may be interested
    std::uint64_t names = 0;  ///< of its fields, see names_id()
    std::uint64_t seq = 0;    ///< of the newest record
    std::string json;         ///< the record
    std::string messagepack;
    std::uint64_t kinship = 0;
    std::uint32_t older = none;
    std::uint32_t newer = none;
    std::uint32_t older_kin = none;  ///< in a ring: of the oldest, the newest
    std::uint32_t newer_kin = none;

    Encoded record() const { return {json, messagepack}; }
  };

  explicit Latest(std::uint32_t limit) : limit_(limit) {}

  struct Updated {
    std::uint32_t place = none;
    bool evicted = false;  ///< the place belonged to another series: whoever was owed that one is owed nothing now
    std::uint64_t seq = 0;
  };

  /// What identifies a series, and what there is to know of a new one.
  struct Key {
    std::uint64_t id;
    const Channel& channel;
    std::string_view group;
    std::uint64_t names = 0;
    std::uint64_t kinship = 0;  ///< the same for series that are kin
  };

  /// Counts a record of the series, which is then to be stored. A series whose place was taken and that comes back goes on
  /// behind the highest number that any such series has reached: numbers never come twice. With a limit of 0 nothing is kept,
  /// and the place is none.
  Updated count(const Key& key);

  void store(std::uint32_t place, Encoded record);

  const Series& at(std::uint32_t place) const { return series_[place]; }

  /// Calls `visit` with the place of a series and those of its kin, in the order in which their records came.
  template <class Visit>
  void visit_kin(std::uint32_t place, Visit visit) const {
    if (series_[place].newer_kin == place) return visit(place);
    std::uint32_t newest = newest_kin_.find(series_[place].kinship)->second;
    for (std::uint32_t next = series_[newest].newer_kin; next != newest; next = series_[next].newer_kin) visit(next);
    visit(newest);
  }

  /// Places run from 0 to size() - 1 and are all in use.
  std::uint32_t size() const { return static_cast<std::uint32_t>(series_.size()); }

 private:
  void unlink(std::uint32_t place);
  void make_newest(std::uint32_t place);
  void join_kin(std::uint32_t place);
  void leave_kin(std::uint32_t place);

  std::uint32_t limit_;
  std::vector<Series> series_;
  std::unordered_map<std::uint64_t, std::uint32_t> places_;
  std::unordered_map<std::uint64_t, std::uint32_t> newest_kin_;  ///< by kinship
  std::uint32_t oldest_ = none;
  std::uint32_t newest_ = none;
  std::uint64_t evicted_seq_ = 0;  ///< the highest of those evicted
};

}  // namespace millrace::signalr
