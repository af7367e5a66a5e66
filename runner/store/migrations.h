#pragma once

#include <string_view>
#include <vector>

namespace millrace::store {

/// The scripts in migrations/, oldest first: the n-th brings a history from schema version n-1 to n.
const std::vector<std::string_view>& migrations();

}  // namespace millrace::store
