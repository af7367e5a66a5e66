#pragma once

#include <string>

#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace {

/// Mutes alerts for a while: people are told nothing of those that it matches, and at its end of what then still holds. What
/// happens to an alert meanwhile is in the history all the same.
struct Silence {
  std::string id;         ///< names it among the stage's; empty: made of what it matches and when it begins
  std::string rule, key;  ///< empty: any
  Time from{}, to{};      ///< holds from the one up to, not including, the other
  std::string by, comment;
};

/// Where people mute alerts. A stage that keeps alerts is one of these besides an AlertDesk; called on the stage's own thread.
class SilenceDesk {
 public:
  virtual ~SilenceDesk() = default;

  /// Takes the place of an earlier one of the same id.
  virtual Result<void> silence(const Silence& silence, Time at) = 0;

  /// Ends the silence called `which.id`; without an id, those with the same rule and key.
  virtual Result<void> unsilence(const Silence& which, Time at) = 0;
};

}  // namespace millrace
