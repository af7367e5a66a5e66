#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "plugins/push/message.h"
#include "runner/stage/time.h"

namespace millrace::push {

/// A message on its way to one target.
struct Parcel {
  std::string id;
  std::size_t target = 0;
  Message message;
  Time created{};
  Time next_try{};
  std::uint32_t attempts = 0;
  bool under_way = false;
};

/// What waits to be delivered, in order. Of one thread only the oldest message goes to a target, so that nobody reads of an end
/// before the beginning; other threads overtake it. Pure: it neither sends nor stores.
class Queue {
 public:
  /// False if a parcel of that id is there already.
  bool add(Parcel parcel);

  Parcel* find(std::string_view id);
  void remove(std::string_view id);

  /// Nothing goes to a target before then.
  void pause(std::size_t target, Time until);
  Time paused_until(std::size_t target) const;

  /// The parcels to send now, at most `count`, oldest first.
  std::vector<Parcel*> due(Time now, std::size_t count);

  /// When due() next has something by the clock alone; nothing if it waits for replies only.
  std::optional<Time> next_due() const;

  std::size_t size() const { return parcels_.size(); }

 private:
  template <class F>
  void each_foremost(F&& f) const;

  std::map<std::uint64_t, Parcel> parcels_;  ///< by age
  std::unordered_map<std::string, std::uint64_t> ages_;
  std::map<std::size_t, Time> pauses_;
  std::uint64_t next_age_ = 0;
};

}  // namespace millrace::push
