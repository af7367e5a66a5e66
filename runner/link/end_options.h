#pragma once

#include <string>

#include "runner/config/fields.h"

namespace millrace::link {

/// The options of either end of a link between processes.
struct EndOptions {
  std::string address;
  config::Secret secret;
  std::string peer;

  static void describe(config::Fields<EndOptions>& f);
};

}  // namespace millrace::link
