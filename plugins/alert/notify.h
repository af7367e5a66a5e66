#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/alert/life_cycle.h"
#include "plugins/alert/quote.h"
#include "runner/stage/silence_match.h"

namespace millrace::alert {

/// When people are told of one rule's alerts.
struct NotifyPlan {
  struct Flap {
    std::size_t opens = 0;  ///< so many openings ...
    Micros within = 0;      ///< ... within this make an alert flap ...
    Micros quiet = 0;       ///< ... until nothing has changed for this long
  };
  struct Group {
    Micros wait = 0;      ///< from the first member to the first message
    Micros interval = 0;  ///< between messages
  };
  Micros repeat = 0;  ///< 0: never
  bool resolved = true;
  bool deescalated = false;
  std::optional<Flap> flap;
  std::optional<Group> group;
};

enum class NoticeType : std::uint8_t {
  firing,
  escalated,
  deescalated,
  repeat,
  resolved,
  flapping,
  flapping_ended,
  group_firing,
  group_changed,
  group_repeat,
  group_resolved,
};
std::string_view name_of(NoticeType type);

/// People are to be told about one alert, now.
struct Notice {
  NoticeType type = NoticeType::firing;
  int level = 0;
  std::uint64_t opening = 0;
  std::uint64_t number = 0;  ///< of this alert's notices, from 1
  std::uint64_t event = 0;   ///< the change that caused it; 0 for none, as for a repeat
  bool quiet = false;        ///< must not make a sound
};

/// Mutes: from a time, up to but not including another.
struct Silence {
  std::string id;
  Micros from = never_yet, to = for_ever;
  std::string rule, key;  ///< patterns; see concerns() in silence_match.h
  AlertLabels labels;
  bool once = false;  ///< ends when no alert of the key that it concerns is open any more
};

/// An alert as silences look at it.
struct Silenced {
  std::string_view rule, key;
  AlertLabels labels;

  bool by(const Silence& silence) const { return concerns(silence, rule, key, labels); }
  bool by(const Silence& silence, Micros now) const { return silence.from <= now && now < silence.to && by(silence); }
};

/// When the silences over an alert that hold at `now` end for good; `now` itself if none holds.
Micros silenced_until(const std::vector<Silence>& silences, const Silenced& alert, Micros now);

/// Decides for one alert that people are told, on the arrival clock.
class Teller {
 public:
  using Emit = std::function<void(const Notice&)>;

  /// After a change of the alert. `quiet_until` is silenced_until(now).
  void changed(const NotifyPlan& plan, const LifeCycle& life, const Change& change, Micros now, Micros quiet_until,
               const Emit& emit);

  /// Sends what fell due: a repeat, what a silence held back, the end of flapping.
  void tick(const NotifyPlan& plan, const LifeCycle& life, Micros now, Micros quiet_until, const Emit& emit);

  /// When tick() has something to do, given that silences end at `quiet_until`; for_ever if never.
  Micros deadline(const NotifyPlan& plan, const LifeCycle& life, Micros now, Micros quiet_until) const;

  bool flapping() const { return flap_ && flap_->on; }
  bool owes() const { return owed_ != Owed::nothing; }
  bool told() const { return told_; }
  Micros last_told() const { return last_told_; }
  std::string_view owed() const;

  /// The arrival clock was stepped: what is counted from moments before goes on as if it had not been.
  void shift(Micros by);

  void save(Writer& out) const;
  bool load(Reader& in);

 private:
  enum class Owed : std::uint8_t { nothing, firing, escalated };

  /// What only an alert that may flap has.
  struct Flap {
    bool on = false;
    Micros last_change = never_yet;
    std::vector<Micros> openings;  ///< the latest
  };

  void tell(NoticeType type, const LifeCycle& life, std::uint64_t event, Micros now, bool silent, const Emit& emit);
  void send(NoticeType type, int level, std::uint64_t opening, std::uint64_t event, bool quiet, Micros now, const Emit& emit);
  bool starts_flapping(const NotifyPlan& plan, Micros now);

  bool told_ = false;  ///< of the open incident
  Owed owed_ = Owed::nothing;
  std::uint64_t owed_event_ = 0;
  Micros last_told_ = never_yet;
  std::uint64_t number_ = 0;
  std::unique_ptr<Flap> flap_;
};

/// People are to be told about a group of alerts.
struct GroupNotice {
  NoticeType type = NoticeType::group_firing;
  std::string group;                          ///< what its alerts have in common; empty where all of a rule are one group
  std::vector<std::string> firing, resolved;  ///< keys, in order
  std::vector<Quote> quotes;                  ///< of the latest record of one of them
  std::uint64_t number = 0;                   ///< of the rule's group notices, from 1
};

/// Alerts of one rule told together, by Alertmanager's rules: a wait from the first member, then at most one message each
/// interval; a repeat is looked at only there. A member that fires and clears between two messages is not mentioned.
class Group {
 public:
  struct Member {
    bool firing = false;
    bool fresh = false;  ///< something of it is still to be told
    bool told = false;
    bool acknowledged = false;
  };

  void changed(const NotifyPlan& plan, std::string_view key, const LifeCycle& life, const Change& change, Micros now);

  /// What is to be told at deadline(), if anything. `silenced` says which keys must not be mentioned.
  std::optional<GroupNotice> flush(const NotifyPlan& plan, Micros now, const std::function<bool(std::string_view)>& silenced);

  Micros deadline() const { return next_; }
  bool empty() const { return members_.empty(); }
  void shift(Micros by);

  void save(Writer& out) const;
  bool load(Reader& in);

 private:
  std::map<std::string, Member, std::less<>> members_;
  Micros next_ = for_ever;
  Micros last_sent_ = never_yet;
};

}  // namespace millrace::alert
