#pragma once

#include <string>
#include <vector>

#include "runner/cli/collected.h"
#include "runner/config/node.h"

namespace millrace::cli {

/// The members in which a row is not what was expected, each as `'at' is 30s instead of 20s`; empty if it matches.
std::vector<std::string> mismatches(const config::Node& expected, const Collected::Row& row, Time start);

/// An expected row as a test has it, on one line.
std::string shown(const config::Node& expected);

/// Exactly the expected rows, in order: what differs, line by line, with the nearest row to each that is missing; empty if
/// nothing does.
std::string compare_all(const std::vector<config::Node>& expected, const std::vector<const Collected::Row*>& got, Time start);

/// The expected rows in order, among others.
std::string compare_among(const std::vector<config::Node>& expected, const std::vector<const Collected::Row*>& got, Time start);

/// None that matches.
std::string compare_none(const std::vector<config::Node>& unwanted, const std::vector<const Collected::Row*>& got, Time start);

}  // namespace millrace::cli
