#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>

#include "runner/stage/time.h"

namespace millrace {

/// Which sources cannot reach an outside that keeps for them what comes meanwhile, such as a broker with a session for them: a
/// stage that keeps event time lets it stand for their keys, and so has not gone past what they bring. Sources say it of
/// themselves, by the number that their records carry (Record::source). A service of a live run; there is none in virtual time,
/// where records arrive when the input says. Any thread.
class Outages {
 public:
  struct Standing {
    bool away = false;
    Time since{};  ///< when it was cut off last
    Time back{};   ///< and when it came back, if it has

    bool operator==(const Standing&) const = default;
  };

  /// Of a source that may bring what was kept for it: it is cut off from now on, or has been all the time.
  void away(std::uint32_t source, Time now) { set(source, true, now); }

  /// It is connected, or has ended: from now on it brings what there is.
  void back(std::uint32_t source, Time now) { set(source, false, now); }

  /// Another one whenever all() would say something else; cheap.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  /// By source: every one that has ever been cut off.
  std::map<std::uint32_t, Standing> all() const {
    std::lock_guard lock(mutex_);
    return standings_;
  }

 private:
  void set(std::uint32_t source, bool away, Time now) {
    std::lock_guard lock(mutex_);
    auto found = standings_.find(source);
    const bool was_away = found != standings_.end() && found->second.away;
    if (was_away == away) return;
    Standing& standing = standings_[source];
    standing.away = away;
    (away ? standing.since : standing.back) = now;
    version_.fetch_add(1, std::memory_order_release);
  }

  mutable std::mutex mutex_;
  std::map<std::uint32_t, Standing> standings_;
  std::atomic<std::uint64_t> version_{1};
};

}  // namespace millrace
