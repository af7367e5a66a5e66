#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
  std::uint32_t source = 0;        ///< 0: not replayable
  std::uint64_t sequence = 0;
};

/// All rules of one alert stage over all keys. Deterministic: no clock, no I/O, no threads; what comes out depends on the calls
/// alone. Each call carries the arrival clock, which never goes back. Costs per record do not depend on the number of keys;
/// per window, rule and key one timer is kept at most.
class Monitor {
 public:
  Monitor(MonitorPlan plan, Output& output);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// The stage begins to listen; keys in `expected` are missed from now on.
  void start(Micros now, std::span<const std::string> expected);

  void record(const Arrival& arrival);
  void tick(Micros now);

  /// End of the stream: every watermark becomes infinite.
  void flush();

  /// Returns what became of it: false if there was no open, unacknowledged alert.
  bool acknowledge(Micros now, std::string_view rule, std::string_view key, std::string_view by);

  /// Replaces all silences; what ends early is told at once.
  void silence(Micros now, std::vector<Silence> silences);

  /// The silences that hold at the start, before anything else.
  void load_silences(std::vector<Silence> silences) { silences_ = std::move(silences); }

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

  /// The counts of an alert that is not loaded, so that its next incident gets a number of its own.
  void adopt(std::string_view rule, std::string_view key, std::uint64_t openings, std::uint64_t events);

  /// After the end of a stream: another one may begin at any event time. Alerts stay as they are.
  void forget_streams();

  /// After loading: the process was lost at `down` (if 0: where the common part was saved) and runs again at `up`.
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

  const RulePlan* rule_named(std::string_view name) const;
  std::size_t index_of(const RulePlan& rule) const { return static_cast<std::size_t>(&rule - plan_.rules.data()); }
  Key* find(std::string_view name) const;
  Key* create(std::string_view name);
  void evict(Key& key);
  bool covered(const Key& key, const Arrival& arrival) const;
  void cover(Key& key, const Arrival& arrival);

  Micros watermark(const Key& key) const;
  void run(Micros now);
  void run_clock(Key& key);
  void heard(Key& key);
  void silent(Key& key, Micros at);
  void process(Key& key, Micros time, const double* inputs);
  void look(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs);
  double derive(const RulePlan& rule, Instance& instance, Micros time, const double* inputs, bool& partial);
  void advance(Key& key, Micros watermark);
  void closed(Key& key, const RulePlan& rule, Instance& instance, const ClosedWindow& window);
  std::span<const double> figures(const RulePlan& rule, const Slices& contents);
  void evaluate(Key& key, const RulePlan& rule, Instance& instance, Micros at, double value, const Cause& cause);
  Alert& alert(Instance& instance);
  void with(Key& key, const RulePlan& rule, Instance& instance, const Cause& cause);
  void changed(const Change& change);
  void notified(const Notice& notice);
  const RulePlan* inhibitor(const RulePlan& rule, const Key& key) const;
  Micros quiet_until(const RulePlan& rule, const Key& key) const;
  void flush_group(const RulePlan& rule);
  void schedule(Key& key);
  Micros event_deadline(const Key& key) const;
  Micros clock_deadline(const Key& key) const;
  Micros group_deadline() const;
  void touch(Key& key);
  bool load_rules(Key& key, Reader& in);

  const MonitorPlan plan_;
  Output& output_;
  const bool tracing_;
  const RulePlan* silence_ = nullptr;
  Micros late_ = 0;
  Micros idle_limit_ = for_ever;  ///< a key of which nothing is kept is forgotten after so long
  Micros now_ = never_yet;
  bool flushed_ = false;
  Watermark common_;  ///< of Scope::source

  std::deque<Key> keys_;
  std::vector<Key*> free_;
  boost::unordered_flat_map<std::string_view, Key*> names_;
  Deadlines<Key> events_;      ///< event times that the watermark must pass
  Deadlines<Key> clocks_;      ///< on the arrival clock
  std::vector<Group> groups_;  ///< by rule
  bool grouped_ = false;
  std::vector<Silence> silences_;
  std::vector<Key*> changed_;

  struct Current {
    Key* key = nullptr;
    const RulePlan* rule = nullptr;
    Instance* instance = nullptr;
    Cause cause;
  } current_;
  const LifeCycle::Emit on_change_;
  const Teller::Emit on_notice_;
  std::vector<Word> words_;
  std::vector<double> values_;
  std::vector<double> figures_;
};

}  // namespace millrace::alert
