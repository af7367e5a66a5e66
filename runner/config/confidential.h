#pragma once

#include "runner/config/node.h"

namespace millrace::config {

/// Takes out of what is said of a file whatever came into it from other files (`${file:}`, `${cred:}`): a check between
/// options, or of a name, shows what it read, and cannot know where that came from.
void hide_confidential(const Node& root, Problems& problems);

}  // namespace millrace::config
