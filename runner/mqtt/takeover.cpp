#include "runner/mqtt/takeover.h"

#include <fmt/core.h>

#include <utility>

namespace millrace::mqtt {

Error TakeoverSign::lost(Time now, const Broker& broker) {
  if (auto since = std::exchange(since_, std::nullopt)) short_lived_ = now - *since < lasting ? short_lived_ + 1 : 0;
  std::string what = fmt::format("lost the connection to {}", broker.broker);
  if (short_lived_ >= many)
    what += fmt::format(
        ", {} times in a row within a minute of connecting: probably another client has the client_id '{}', too; give each "
        "one of its own",
        short_lived_, broker.client_id);
  return unavailable(std::move(what));
}

}  // namespace millrace::mqtt
