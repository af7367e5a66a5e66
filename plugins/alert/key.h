#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plugins/alert/monitor.h"
#include "plugins/alert/told.h"

namespace millrace::alert {

/// What is kept of one alert once its condition has held for the first time.
struct Monitor::Alert {
  LifeCycle life;
  Teller teller;
  std::unique_ptr<Told> told;          ///< null before the first
  std::unique_ptr<std::string> group;  ///< that it belongs to while it is a member of one; null for the one without a name

  void save(Writer& out) const;
  bool load(const LifePlan& plan, Reader& in);
};

/// What is kept of one key under one rule.
struct Monitor::Instance {
  Window window;
  std::unique_ptr<Window[]> further;  ///< of a formula: those after the first
  double last_value = null_value;     ///< ewma: the mean; changed: the value before
  Micros last_time = never_yet;
  std::unique_ptr<Alert> alert;
};

/// What is kept of one key. What every record touches comes first.
struct Monitor::Key {
  std::string name;
  std::unique_ptr<Instance[]> rules;
  Micros heard = never_yet;  ///< last arrival
  Watermark watermark;
  Micros event_turn = for_ever;  ///< of its entry that counts in events_
  Micros clock_turn = for_ever;  ///< and in clocks_
  std::uint64_t sequence = 0;    ///< last one seen of `source`
  std::uint32_t source = 0;
  bool changed = false;
  bool missed = false;      ///< silent for so long that it was given up
  bool own = false;         ///< no key of records but a trouble of the stage
  bool reschedule = false;  ///< something that clocks_ depends on has changed
  std::unique_ptr<Reorder> waiting;
  std::unique_ptr<std::vector<Quote>> quotes;
  std::unique_ptr<std::vector<std::pair<std::uint32_t, std::uint64_t>>> further;  ///< sequences of further sources

  std::span<const Quote> latest() const { return quotes ? std::span<const Quote>(*quotes) : std::span<const Quote>(); }
};

/// Something wrong in the stage itself, with an alert like that of a key.
struct Monitor::OwnTrouble {
  Key key;
  std::uint64_t times = 0;  ///< since it began
};

inline bool Monitor::Slot::Same::operator()(const Slot& a, const Slot& b) const {
  return a.hash == b.hash && a.key->name == b.key->name;
}
inline bool Monitor::Slot::Same::operator()(const KeyName& name, const Slot& slot) const {
  return name.hash == slot.hash && name.text == slot.key->name;
}

/// Keys of records and those of the stage's own alerts.
template <class F>
void Monitor::each_key(F&& f) {
  for (const Slot& slot : names_) f(*slot.key);
  for (const auto& trouble : troubles_)
    if (trouble) f(trouble->key);
}

}  // namespace millrace::alert
