#pragma once

#include "plugins/alert/options.h"

namespace millrace::alert {

// What contradicts itself in the options, found when a file is read.

void check_level(const LevelOptions& level, config::CheckReport<LevelOptions>& report);
void check_watch(const WatchOptions& watch, config::CheckReport<WatchOptions>& report);
void add_checks(config::Fields<RuleOptions>& f);
void add_checks(config::Fields<NoDataOptions>& f);
void add_checks(config::Fields<Options>& f);

/// Of rules in which something is wrong: finds what would be wrong with their inhibition whatever that is. `node` has them.
void check_inhibition(const config::Node& node, const Rules& rules, config::Problems& problems);
/// Of rules that could be read.
void check_inhibition(const Options& options, config::CheckReport<Options>& report);

/// A value at which both hold, if there is one.
std::optional<double> overlap(const Test& a, const Test& b);

}  // namespace millrace::alert
