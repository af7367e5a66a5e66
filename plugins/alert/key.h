#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plugins/alert/monitor.h"

namespace millrace::alert {

/// What is kept of one alert once its condition has held for the first time.
struct Monitor::Alert {
  LifeCycle life;
  Teller teller;
  Change told_of;  ///< the latest change that concerns people
  double value = null_value;
  std::vector<double> figures;

  void save(Writer& out) const;
  bool load(const LifePlan& plan, Reader& in);
};

/// What is kept of one key under one rule.
struct Monitor::Instance {
  Window window;
  double last_value = null_value;  ///< ewma: the mean; changed: the value before
  Micros last_time = never_yet;
  std::unique_ptr<Alert> alert;
};

/// What is kept of one key.
struct Monitor::Key {
  std::string name;
  Watermark watermark;
  Micros heard = never_yet;      ///< last arrival
  Micros event_turn = for_ever;  ///< of its entry that counts in events_
  Micros clock_turn = for_ever;  ///< and in clocks_
  std::unique_ptr<Instance[]> rules;
  std::unique_ptr<Reorder> waiting;
  std::uint64_t sequence = 0;                                                     ///< last one seen of `source`
  std::unique_ptr<std::vector<std::pair<std::uint32_t, std::uint64_t>>> further;  ///< the same of further sources
  std::uint32_t source = 0;
  bool changed = false;
  bool missed = false;  ///< silent for so long that it was given up
};

}  // namespace millrace::alert
