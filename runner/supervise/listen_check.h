#pragma once

#include <optional>
#include <string>

#include "runner/graph/listen_check.h"

namespace millrace::supervise {

/// What a listener would refuse to start with: an address that is none, one that others reach unprotected, a certificate and
/// key that cannot be read or do not belong together. `override_address` is `run --listen`, in place of every file's own.
graph::ListenCheck listen_check(std::optional<std::string> override_address = std::nullopt);

}  // namespace millrace::supervise
