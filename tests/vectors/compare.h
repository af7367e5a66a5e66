#pragma once

#include <string>

#include "case.h"

namespace millrace::vectors {

/// The first difference between what was expected and what came, for people; empty if there is none. Rows are compared per key
/// in order; incidents by identity only; a number written with a fraction has a tolerance of 1e-9, relative above 1.
std::string difference(const Json& expected, const Rows& rows);

}  // namespace millrace::vectors
