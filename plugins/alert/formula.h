#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plugins/alert/aggregate.h"
#include "plugins/alert/rule.h"
#include "runner/stage/error.h"

namespace millrace::alert {

/// What a script asks its view `w` for: `w:avg("temperature")` is an aggregate of a field.
struct Asked {
  std::string field;
  std::vector<Aggregate> aggregates;
};

/// The figures that a script names, by field in the order of their first mention. They must be known beforehand, for only what
/// is asked for is kept: an error names a call whose field is no text, an aggregate that does not exist, a Lua that does not
/// compile.
Result<std::vector<Asked>> asked_by(const std::string& script);

/// A script over one window: `return VALUE` or nothing, from figures that it asks its view `w` for, and `w.count`, the number
/// of records. A sandbox of its own, without I/O, with a limit on instructions and memory; after going over one it starts
/// afresh. `name` stands before line numbers. Its figures: `w.count`, then those of asked_by(), field by field.
Result<std::shared_ptr<Formula>> make_formula(const std::string& script, const std::string& name);

}  // namespace millrace::alert
