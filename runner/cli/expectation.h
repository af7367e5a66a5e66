#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runner/cli/collected.h"
#include "runner/graph/pipeline.h"

namespace millrace::cli {

/// What is wrong with a test's `expect`, whatever may come: rows that are no maps, members that no such row has, stages that
/// are not there, times that are none.
void check_expectations(const graph::Pipeline& pipeline, const graph::TestCase& test, config::Problems& problems);

/// What differs between a test's `expect` and what came, as text for people; empty if nothing does.
///
/// Expected rows name the members that they care for, at any depth: a map in a row matches one with more members. Numbers are
/// compared by value. `at` is a row's own time and `when` the clock's at which it came out, both counted from the start;
/// `stage` and `device` are what they say, unless the row has a field of that name. `emitted` is how many records each stage
/// has emitted.
std::string differences(const graph::TestCase::Expect& expect, const Collected& collected,
                        const std::map<std::string, std::uint64_t>& emitted);

/// The stages whose output a test looks at, and `clients` if it looks at messages to these.
std::vector<std::string> stages_of(const graph::TestCase::Expect& expect);

}  // namespace millrace::cli
