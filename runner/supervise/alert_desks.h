#pragma once

#include "runner/stage/alert_desks.h"

namespace millrace::supervise {

class Supervisor;

/// Asks the stages on their own threads.
class SupervisedDesks final : public AlertDesks {
 public:
  explicit SupervisedDesks(Supervisor& supervisor) : supervisor_(supervisor) {}
  void acknowledge(const std::string& pipeline, Seen seen, std::function<void(Result<void>)> done) override;

 private:
  Supervisor& supervisor_;
};

}  // namespace millrace::supervise
