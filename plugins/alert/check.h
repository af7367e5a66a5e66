#pragma once

#include "plugins/alert/options.h"

namespace millrace::alert {

// What contradicts itself in the options, found when a file is read.

void check_level(const LevelOptions& level, config::CheckReport<LevelOptions>& report);
void check_watch(const WatchOptions& watch, config::CheckReport<WatchOptions>& report);
void check_rule(const RuleOptions& rule, config::CheckReport<RuleOptions>& report);
void check_no_data(const NoDataOptions& no_data, config::CheckReport<NoDataOptions>& report);
void check_stage(const Options& options, config::CheckReport<Options>& report);

/// A value at which both hold, if there is one.
std::optional<double> overlap(const Test& a, const Test& b);

}  // namespace millrace::alert
