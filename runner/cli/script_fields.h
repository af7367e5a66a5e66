#pragma once

#include <string>
#include <string_view>

#include "runner/config/node.h"
#include "runner/stage/record.h"

namespace millrace::cli {

/// What an input is, by the names of its members.
struct ScriptShape {
  enum class Kind { nothing, record, short_record, control };
  Kind kind = Kind::nothing;
  std::string_view control;  ///< its name
};

/// A device may well have a field that is called as a control is.
ScriptShape shape_of(const FieldList& input);

/// Says that an input has no shape, for people.
std::string no_shape(const FieldList& input);

/// The members of an entry of a test, in `arena`: texts where the shape wants texts, all else typed as YAML types it.
FieldList script_fields(const config::Node& node, Arena& arena);

}  // namespace millrace::cli
