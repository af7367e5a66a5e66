#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runner/stage/error.h"
#include "runner/stage/silence_match.h"
#include "runner/stage/time.h"

namespace millrace {

/// How a desk answers: exactly once, on the stage's own thread, and not before what it says is in the history, so that a kill
/// takes nothing back that somebody was told.
template <class T>
using DeskAnswer = std::function<void(Result<T>)>;

/// Somebody has seen alerts and takes care of them.
struct Acknowledgement {
  std::string key;
  std::string rule;      ///< empty: of all that are open for the key
  std::string incident;  ///< if not empty, only that one
  std::string by, comment;
};

/// What became of an acknowledgement, for one alert.
struct Acknowledged {
  enum class Outcome {
    acknowledged,  ///< it is now
    already,       ///< `by` had done it before: recorded, and ignored
    not_open,      ///< nothing is open: recorded, and ignored
  };
  std::string incident;  ///< empty if none is open and none was named
  std::string rule, key;
  Outcome outcome = Outcome::acknowledged;
  std::string by;  ///< who has acknowledged it; empty if nobody has
};

/// What somebody has to say about an incident, open or ended.
struct Remark {
  std::string rule, key, incident;
  std::string by, comment;
};

/// What people may do to alerts. A stage that keeps alerts is one of these besides; called on the stage's own thread.
class AlertDesk {
 public:
  virtual ~AlertDesk() = default;

  /// An unknown rule is an error. Each acknowledgement is recorded, even where nothing is open.
  virtual void acknowledge(const Acknowledgement& acknowledgement, Time at, DeskAnswer<std::vector<Acknowledged>> answer) = 0;

  /// Adds the comment to the incident's timeline. An incident that there never was is an error.
  virtual void comment(const Remark& remark, Time at, DeskAnswer<void> answer) = 0;
};

/// Mutes alerts for a while: people are told nothing of those that it matches, and at its end of what then still holds. What
/// happens to an alert meanwhile is in the history all the same.
struct Silence {
  std::string id;         ///< names it among the stage's; empty: made of what it matches and when it begins
  std::string rule, key;  ///< patterns of matches_glob(); empty: any
  Time from{}, to{};      ///< holds from the one up to, not including, the other
  std::string by, comment;
  AlertLabels labels;  ///< patterns for labels, all of which must match
  bool once = false;  ///< begins now, and ends with the alert that is open of `key`, which is no pattern; at `to` at the latest
};

/// Where people mute alerts. A stage that keeps alerts is one of these besides an AlertDesk; called on the stage's own thread.
class SilenceDesk {
 public:
  virtual ~SilenceDesk() = default;

  /// Takes the place of an earlier one of the same id; answers with it as it is kept.
  virtual void silence(const Silence& silence, Time at, DeskAnswer<Silence> answer) = 0;

  /// Ends the silence called `which.id`; without an id, those of the same patterns. Answers with what it has ended.
  virtual void unsilence(const Silence& which, Time at, DeskAnswer<std::vector<Silence>> answer) = 0;
};

}  // namespace millrace
