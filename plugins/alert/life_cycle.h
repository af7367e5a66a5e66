#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/alert/codec.h"
#include "plugins/alert/condition.h"

namespace millrace::alert {

enum class State : std::uint8_t { ok, pending, firing, recovering, latched };
std::string_view name_of(State state);

enum class Reason : std::uint8_t {
  condition,
  cancelled,
  escalated,
  deescalated,
  relapse,
  reactivated,
  condition_clear,
  resolved,
  ack,
  ack_ignored,
  rule_changed,
  rule_removed,
  key_forgotten,
};

/// `ack:<by>` for acknowledgements, else the word itself.
std::string text_of(Reason reason, std::string_view by);

enum class OnNull : std::uint8_t { keep, no, yes };

/// The timing of one rule.
struct LifePlan {
  std::vector<Level> levels;  ///< low to high, at least one
  bool by_timer = false;      ///< `for` and `resolve_after` end with the watermark; else they need an evaluation
  Micros max_gap = 0;         ///< a longer hole between evaluations restarts `for`; 0 for none
  Micros resolve_after = 0;
  OnNull on_null = OnNull::keep;
  bool latch = false;
};

/// One row of the life of an alert. Levels count from 1; 0 is `ok`.
struct Change {
  State from = State::ok, to = State::ok;
  int level = 0;  ///< that it is about: a resolve names the level that ended
  int level_from = 0, level_to = 0;
  Reason reason = Reason::condition;
  Micros at = 0;              ///< event time; for acknowledgements the arrival clock
  std::uint64_t opening = 0;  ///< number of the incident; 0 for none
  std::uint64_t event = 0;    ///< number of the change, from 1
  bool opens = false;
  std::string_view by;
};

/// The state machine of one alert (alerts.md in the reference calls it the life cycle). Driven by evaluations in order of event
/// time; reports each change to `emit`.
class LifeCycle {
 public:
  using Emit = std::function<void(const Change&)>;

  State state() const { return state_; }
  int level() const { return level_; }
  int condition() const { return condition_; }
  bool acknowledged() const { return acknowledged_; }
  std::string_view acknowledged_by() const {
    return acknowledged_by_ ? std::string_view(*acknowledged_by_) : std::string_view();
  }
  bool open() const { return state_ == State::firing || state_ == State::recovering || state_ == State::latched; }
  std::uint64_t openings() const { return openings_; }
  std::uint64_t events() const { return events_; }
  Micros last_evaluation() const { return last_; }
  Micros lower_since() const { return condition_ == 0 ? false_since_ : lower_since_; }
  std::span<const Micros> since() const { return {several_since_ ? several_since_.get() : &one_since_, levels_}; }

  /// The value at event time `at`; null is treated as the plan says. First fires the timers due before `at`.
  void evaluate(const LifePlan& plan, Micros at, double value, const Emit& emit);

  /// The same for a condition decided elsewhere.
  void set(const LifePlan& plan, Micros at, int condition, const Emit& emit);

  /// Fires the timers of an event time before `before`.
  void advance(const LifePlan& plan, Micros before, const Emit& emit);

  /// The event time that the watermark must pass for a timer to fire; for_ever if none runs.
  Micros deadline(const LifePlan& plan) const;

  /// Somebody has seen it. Ignored, but reported, unless there is something open that nobody has acknowledged.
  void acknowledge(Micros now, std::string_view by, const Emit& emit);

  /// Numbers an event that is no change, such as a comment.
  std::uint64_t next_event() { return ++events_; }

  /// Ends quietly, whatever the state.
  void end(Micros at, Reason reason, const Emit& emit);

  /// The process was away for `span`: what went unobserved counts neither towards `for` nor towards `resolve_after`.
  void restarted(const LifePlan& plan, Micros span);

  /// Counts on from a life that was lost.
  void adopt(std::uint64_t openings, std::uint64_t events) {
    openings_ = openings;
    events_ = events;
  }

  void save(Writer& out) const;
  bool load(const LifePlan& plan, Reader& in);

 private:
  void excuse(Micros span);
  void observe(const LifePlan& plan, Micros at, int condition);
  void react(const LifePlan& plan, Micros at, const Emit& emit);
  void react_open(const LifePlan& plan, Micros at, int target, const Emit& emit);
  void fire(Micros at, int level, Reason reason, const Emit& emit);
  void change(State to, int level_to, int shown, Reason reason, Micros at, const Emit& emit, std::string_view by = {});
  int target(const LifePlan& plan, Micros at) const;
  std::span<Micros> times() { return {several_since_ ? several_since_.get() : &one_since_, levels_}; }
  void set_levels(std::size_t levels);

  // As there is one for each key and rule, what most rules do not need takes no more than a pointer.
  State state_ = State::ok;
  std::uint8_t level_ = 0;      ///< of the open alert
  std::uint8_t condition_ = 0;  ///< level of the condition
  bool acknowledged_ = false;
  bool away_ = false;                        ///< no evaluation since a restart
  std::uint8_t levels_ = 0;                  ///< how many since() tells of; 0 before the first evaluation
  Micros last_ = never_yet;                  ///< last evaluation
  Micros away_left_ = 0;                     ///< of the time in which nobody looked, how much still lies ahead of `last_`
  Micros lower_since_ = never_yet;           ///< since when the condition is below level_
  Micros false_since_ = never_yet;           ///< since when there is no condition
  Micros one_since_ = never_yet;             ///< since when the condition is at the level or above; or, if there are more
  std::unique_ptr<Micros[]> several_since_;  ///< the same for each
  std::uint64_t openings_ = 0;
  std::uint64_t events_ = 0;
  std::unique_ptr<std::string> acknowledged_by_;
};

}  // namespace millrace::alert
