#pragma once

#include <algorithm>
#include <array>
#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/alert/deadlines.h"
#include "plugins/alert/output.h"
#include "plugins/alert/reorder.h"
#include "plugins/alert/rule.h"

namespace millrace::alert {

/// A record as rules see it.
struct Arrival {
  Micros arrival = 0;
  Micros time = 0;
  std::string_view key;
  std::span<const double> inputs;  ///< null_value for what is no number
  std::span<const Quote> quotes;   ///< what texts quote of it
  std::uint32_t source = 0;        ///< 0: not replayable
  std::uint64_t sequence = 0;
  bool fresh = true;  ///< it is of the present; a backlog of its source, if there was one, has been worked off
};

/// All rules of one alert stage over all keys. Deterministic: no clock, no I/O, no threads; what comes out depends on the calls
/// alone. Each call carries the arrival clock, which never goes back. Costs per record do not depend on the number of keys;
/// per window, rule and key one timer is kept at most.
///
/// Its parts by file: monitor.cpp has keys, records and event time, monitor_clock.cpp what the arrival clock brings,
/// monitor_holds.cpp when that stands still, monitor_rules.cpp what rules make of a record, monitor_alerts.cpp what becomes of
/// their findings, monitor_inhibition.cpp which of these mute which, monitor_state.cpp what is saved.
class Monitor {
 public:
  Monitor(MonitorPlan plan, Output& output);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// The stage begins to listen; keys in `expected` are missed from now on.
  void start(Micros now, std::span<const std::string> expected);

  void record(const Arrival& arrival);

  /// What follows comes from a source's hand anew: a message that it begins with may be one that was had before.
  void begin_batch() { message_.keys.clear(); }

  /// A batch, in order; quicker, as it looks ahead.
  void records(std::span<const Arrival> arrivals);
  void tick(Micros now);

  /// The arrival clock jumped ahead by `forward`, in which no time passed: nothing falls due by it, and what goes unobserved by
  /// event time counts towards no `for`.
  void jumped(Micros forward);

  /// The clocks of devices may show so much more than the arrival clock (less, if negative): from here on a record is early or
  /// late, and windows of idle keys close, only where it is so by either.
  void doubt(Micros ahead) { ahead_ = ahead; }

  /// A source is cut off, since then, and may bring what it could not: for its keys event time does not follow the clock, but
  /// what the source brings alone.
  void hold(std::uint32_t source, Micros since);

  /// The source can bring what it has kept: a hold on it ends with its first record that is fresh, or at `until`. Meanwhile
  /// none of its keys counts as silent.
  void catch_up(std::uint32_t source, Micros until);

  /// Sources that are held.
  std::vector<std::uint32_t> held() const;
  bool holding() const { return !holds_.empty(); }

  /// End of the stream: every watermark becomes infinite.
  void flush();

  /// Returns what became of it: false if there was no open, unacknowledged alert.
  bool acknowledge(Micros now, std::string_view rule, std::string_view key, std::string_view by);

  /// Numbers an event of an alert that is no change; 0 if there is no such alert.
  std::uint64_t next_event(std::string_view rule, std::string_view key);

  /// Every alert that is open.
  void each_open(const std::function<void(const RulePlan&, const std::string& key)>& visit) const;

  /// Replaces all silences; what ends early is told at once.
  void silence(Micros now, std::vector<Silence> silences);

  /// The silences that hold at the start, once the keys are loaded and before anything else. What was to end with an alert that
  /// is not open any more ends.
  void load_silences(std::vector<Silence> silences);

  /// A silence that has ended with its alerts, and when.
  struct Spent {
    std::string id;
    Micros at = 0;
  };

  /// Those since the last call. They mute nothing any more, but silence() would bring them back.
  std::vector<Spent> take_spent() { return std::exchange(spent_, {}); }

  /// An alert as silences look at it, by its key's latest record.
  Silenced seen(const RulePlan& rule, std::string_view key) const;

  /// The clock without its effects: what fell due is for the next call, or the next start.
  void stand_at(Micros now) { now_ = std::max(now_, now); }

  /// When tick() has something to do.
  std::optional<Micros> deadline() const;

  Micros now() const { return now_; }
  std::size_t keys() const { return names_.size(); }
  std::size_t memory() const;

  // Snapshots: keys whose state changed since the last call of take_changed(); each is a whole of its own, so keys may be saved
  // at different moments (with Scope::source, all changed ones at one). The common part holds the clock, groups, watermark.

  std::vector<std::string> take_changed();
  bool has_changed() const { return !changed_.empty(); }
  std::string save(std::string_view key) const;  ///< empty if there is no such key
  std::string save_common() const;

  /// Into a fresh Monitor; false if the bytes make no sense, which leaves the key out.
  bool load(std::string_view key, std::string_view bytes);
  bool load_common(std::string_view bytes);

  /// After load_common(): nothing could be read of this key. What it has in windows now begins with a gap, and its silence is
  /// counted from the last moment that was saved, or from `now` where that is not known.
  void lost(std::string_view key, Micros now);

  /// The counts of an alert that is not loaded, so that its next incident gets a number of its own.
  void adopt(std::string_view rule, std::string_view key, std::uint64_t openings, std::uint64_t events);

  /// After the end of a stream: another one may begin at any event time. Alerts stay as they are.
  void forget_streams();

  /// The name of the level that an alert had whose rule meant something else when it was saved; empty if it is not known.
  std::string lost_level(std::string_view rule, std::string_view key) const;

  /// After loading: the process was lost at `down` (if 0: where the common part was saved) and runs again at `up`. An `up`
  /// before `down` is a clock that was set back.
  void restarted(Micros down, Micros up, bool windows_kept);

  /// The life of one alert, or null if it has none yet.
  bool open(std::string_view rule, std::string_view key) const {
    const LifeCycle* found = life(rule, key);
    return found && found->open();
  }
  const LifeCycle* life(std::string_view rule, std::string_view key) const;
  const Teller* teller(std::string_view rule, std::string_view key) const;

  /// What mutes an alert now: `rule:NAME`, `silence:ID`, or empty.
  std::string muted_by(const RulePlan& rule, std::string_view key) const;
  const MonitorPlan& plan() const { return plan_; }

 private:
  struct Alert;
  struct Instance;
  struct Key;
  struct OwnTrouble;

  /// A key's name with its hash.
  struct KeyName {
    std::string_view text;
    std::uint64_t hash;
    explicit KeyName(std::string_view t) : text(t), hash(boost::hash<std::string_view>{}(t)) {}
  };

  /// A place in the table of keys. It holds the hash, so that a look at the table alone nearly always finds the key.
  struct Slot {
    std::uint64_t hash;
    Key* key;

    struct Hash {
      using is_transparent = void;
      using is_avalanching = void;
      std::size_t operator()(const Slot& slot) const { return slot.hash; }
      std::size_t operator()(const KeyName& name) const { return name.hash; }
      std::size_t operator()(std::uint64_t hash) const { return hash; }
    };
    struct Same {
      using is_transparent = void;
      bool operator()(const Slot& a, const Slot& b) const;
      bool operator()(const KeyName& name, const Slot& slot) const;
      bool operator()(const Slot& slot, const KeyName& name) const { return (*this)(name, slot); }
      bool operator()(std::uint64_t hash, const Slot& slot) const { return hash == slot.hash; }
      bool operator()(const Slot& slot, std::uint64_t hash) const { return hash == slot.hash; }
    };
  };

  /// Alerts of an inhibition that have the texts of its labels in common.
  struct Alike {
    std::size_t firing = 0;                                             ///< of the source
    boost::unordered_flat_set<std::pair<Key*, const RulePlan*>> muted;  ///< open ones of targets, muted while any is
    bool empty() const { return firing == 0 && muted.empty(); }
  };

  /// Of one rule whose alerts are told in groups.
  struct Groups {
    std::map<std::string, Group, std::less<>> of;
    std::uint64_t told = 0;
  };

  const RulePlan* rule_named(std::string_view name) const;
  std::size_t index_of(const RulePlan& rule) const { return static_cast<std::size_t>(&rule - plan_.rules.data()); }
  Key* find(std::string_view name) const;
  Key* guess(std::string_view name) const;
  Key* find(const RulePlan& rule, std::string_view name) const;
  Key* create(std::string_view name);
  void evict(Key& key);
  bool had_before(const Key& key, const Arrival& arrival) const;
  bool covered(const Key& key, const Arrival& arrival) const;
  void cover(Key& key, const Arrival& arrival);
  void record(const Arrival& arrival, Key* key);

  /// Brings nearer, in two steps, what a record of that time will touch besides the key itself. Inlined, because GCC leaves out
  /// the call of a function that does nothing but prefetch.
  [[gnu::always_inline]] inline void fetch(const Key& key, Micros time) const;
  [[gnu::always_inline]] inline void fetch_values(const Key& key, Micros time) const;

  /// A source that is cut off, or catches up.
  struct Hold {
    std::uint32_t source = 0;
    Micros clock = 0;         ///< how far the arrival clock has come for its keys
    Micros until = for_ever;  ///< the hold's end, once the source is back
    Deadlines<Key> events;    ///< of its keys, for which events_ had the time, but not `clock`
  };
  Hold* hold_of(const Key& key);
  const Hold* hold_of(const Key& key) const { return holds_.empty() ? nullptr : const_cast<Monitor*>(this)->hold_of(key); }
  Hold* hold_on(std::uint32_t source);
  Hold* due_hold();
  Micros clock_of(const Key& key) const;
  bool passed(Micros event) const { return plan_.time.scope == Scope::source && event < common_.at; }
  void take_to_hold(const Arrival& arrival);
  void let_go(Hold& hold);
  void let_go_by(Micros now);
  Micros hold_deadline() const;
  void save_holds(Writer& out) const;
  void load_holds(Reader& in);

  Micros late() const { return late_ + std::max<Micros>(0, -ahead_); }
  TimePolicy policy() const;
  Micros watermark(const Key& key) const;
  void run(Micros now);
  void event_due(Key& key, Micros at);
  void run_clock(Key& key);
  void heard(Key& key);
  void silent(Key& key, Micros at);
  void schedule(Key& key);
  Micros event_deadline(const Key& key) const;
  Micros clock_deadline(const Key& key) const;
  bool may_go(const Key& key) const;  ///< nothing is kept of it that a later record could need
  Micros group_deadline() const;
  void touch(Key& key);

  void process(Key& key, Micros time, const double* inputs);
  void look(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs);
  void advance(Key& key, Micros watermark);
  void close_windows(Key& key, const RulePlan& rule, Instance& instance, Micros before);
  void add_to_windows(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs);
  void closed(Key& key, const RulePlan& rule, Instance& instance, const ClosedWindow& window);
  void closed_together(Key& key, const RulePlan& rule, Instance& instance, ClosedWindow& first);
  double trailing(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs, bool& partial);
  double zscore(const RulePlan& rule, Instance& instance, Micros time, double value, bool& partial);
  double derive(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs, bool& partial);
  void figures_of(const RulePlan& rule, const Slices& contents);
  double work_out(Key& key, const RulePlan& rule);
  void evaluate(Key& key, const RulePlan& rule, Instance& instance, Micros at, double value, const Cause& cause);

  Alert& alert(Instance& instance);
  const Alert* alert_of(std::string_view rule, std::string_view key) const;
  void with(Key& key, const RulePlan& rule, Instance& instance, const Cause& cause);
  void changed(const Change& change);
  void changed_in_group(const Change& change);
  void end_silences_of(std::string_view key);
  bool mutes_open(const Silence& silence) const;
  void notified(const Notice& notice);
  Silenced seen(const RulePlan& rule, const Key& key) const;
  const RulePlan* inhibitor(const RulePlan& rule, const Key& key) const;
  void take_part(Key& key, const RulePlan& rule, State from, State to);
  void take_part(Key& key, const RulePlan& rule, const InhibitionPart& part, const std::optional<std::string>& from,
                 const std::optional<std::string>& to);
  void relabel(Key& key, std::span<const Quote> quotes);
  Micros quiet_until(const RulePlan& rule, const Key& key) const;
  void flush_group(const RulePlan& rule, const std::string& name, Group& group);
  void flush_groups(Micros due);
  void meet(Trouble trouble);
  OwnTrouble& own(Trouble trouble);
  void run_trouble(OwnTrouble& trouble);
  template <class F>
  void each_key(F&& f);

  bool load_rules(Key& key, Reader& in);
  bool load_troubles(Reader& in);
  bool load_groups(Reader& in);
  void begin_stream_anew(Key& key);

  const MonitorPlan plan_;
  Output& output_;
  const bool tracing_;
  const RulePlan* silence_ = nullptr;
  const RulePlan* trouble_ = nullptr;
  Micros late_ = 0;
  Micros idle_limit_ = for_ever;  ///< a key of which nothing is kept is forgotten after so long
  Micros now_ = never_yet;
  Micros ahead_ = 0;
  bool flushed_ = false;
  Watermark common_;  ///< of Scope::source

  /// The message in hand, of which several records may come, one after the other.
  struct Message {
    std::uint32_t source = 0;
    std::uint64_t sequence = 0;
    std::vector<const Key*> keys;  ///< that have had a record of it
  } message_;

  std::vector<Hold> holds_;
  std::vector<std::uint32_t> sources_;  ///< that records have come from

  std::deque<Key> keys_;
  std::vector<Key*> free_;
  boost::unordered_flat_set<Slot, Slot::Hash, Slot::Same> names_;
  std::array<std::unique_ptr<OwnTrouble>, troubles> troubles_;
  std::map<std::pair<std::string, std::string>, std::string> lost_levels_;
  Deadlines<Key> events_;       ///< event times that the watermark must pass
  Deadlines<Key> clocks_;       ///< on the arrival clock
  std::vector<Groups> groups_;  ///< by rule
  bool grouped_ = false;
  std::vector<boost::unordered_flat_map<std::string, Alike>> alike_;  ///< by inhibition; holds nothing without open alerts
  std::vector<Silence> silences_;
  std::vector<Spent> spent_;
  std::vector<Key*> changed_;

  struct Current {
    Key* key = nullptr;
    const RulePlan* rule = nullptr;
    Instance* instance = nullptr;
    Cause cause;
  } current_;
  const LifeCycle::Emit on_change_;
  const Teller::Emit on_notice_;
  Slices::Scratch scratch_;
  std::vector<double> figures_, asked_;
};

}  // namespace millrace::alert
