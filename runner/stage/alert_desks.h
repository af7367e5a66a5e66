#pragma once

#include <functional>
#include <string>

#include "runner/stage/error.h"

namespace millrace {

/// Somebody has seen alerts: the open ones of `key`, of one rule, or of all if `rule` is empty.
struct Seen {
  std::string key, rule;
  std::string by;
};

/// The stages of running pipelines that keep alerts, for those who act on alerts from elsewhere: a room of the runner, which a
/// stage gets by Context::service<AlertDesks>(). Any thread; outlives every stage.
class AlertDesks {
 public:
  virtual ~AlertDesks() = default;

  /// Has every stage of the pipeline that keeps alerts acknowledge, and calls `done` once, on any thread: well if one of them
  /// did.
  virtual void acknowledge(const std::string& pipeline, Seen seen, std::function<void(Result<void>)> done) = 0;
};

}  // namespace millrace
