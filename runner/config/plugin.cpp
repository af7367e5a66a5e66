#include "runner/config/plugin.h"

namespace millrace::config {

const std::vector<std::string>& stage_keys() {
  static const std::vector<std::string> keys{"id", "plugin", "from", "on_full", "queue", "spool", "publish", "curve", "thread"};
  return keys;
}

}  // namespace millrace::config
