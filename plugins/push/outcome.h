#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runner/stage/time.h"

namespace millrace::config {
template <class C>
class Fields;
}

namespace millrace::push {

/// What an attempt came to, and so what happens next.
enum class Outcome {
  accepted,     ///< done
  target_dead,  ///< nobody is there any more: given up
  message_bad,  ///< it will never be taken: given up
  credentials,  ///< the target does not let us in: it pauses, and the operator is told
  throttled,    ///< the target asks for patience: it pauses
  transient,    ///< tried again later
};

/// By the status of an HTTP answer; 0 is none, as when the network failed.
Outcome classify(long status);

struct RetryPlan {
  Duration first{1s};  ///< the pause after the first failure is between nothing and this, ...
  Duration max{5min};  ///< ... doubling with each failure up to this
  Duration ttl{24h};   ///< after so long it is given up

  static void describe(config::Fields<RetryPlan>& f);
};

/// Full jitter: anywhere between nothing and the doubled pause, so that many messages that failed together do not return
/// together. The same for the same id and attempt (from 1).
Duration pause_before(const RetryPlan& plan, std::string_view id, std::uint32_t attempt);

/// The header of RFC 9110 section 10.2.3: seconds, or a date; nothing if it is neither. Never negative.
std::optional<Duration> parse_retry_after(std::string_view header, Time now);

}  // namespace millrace::push
