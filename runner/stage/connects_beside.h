#pragma once

namespace millrace {

/// A stage that has all it works with in memory derives from this besides. Its connect() waits for nothing, takes nothing that
/// an earlier version of the stage may hold and reads nothing that one may still write; it holds no Ack, and stop() or finish()
/// have nothing to do. A reload connects the new version before it touches the running one, on the supervisor's thread, and
/// sets the old one aside as it is until the reload has proven itself.
class ConnectsBeside {
 public:
  virtual ~ConnectsBeside() = default;
};

}  // namespace millrace
