#pragma once

#include <vector>

#include "plugins/alert/notify.h"
#include "runner/stage/alert_desk.h"
#include "runner/store/history.h"

namespace millrace::alert {

/// The silences of one stage as people asked for them; Monitor has them as it needs them, the history for good. Bounded: those
/// that are over go.
class Silences {
 public:
  static constexpr std::size_t most = 10'000;

  /// Takes the place of one with the same id, or an id of its own is made. Returns it as it is kept.
  Result<store::Silence> add(const millrace::Silence& silence, Time now);

  /// Ends the one with that id, or without an id those of the same patterns. Returns what it has ended.
  Result<std::vector<store::Silence>> end(const millrace::Silence& which, Time now);

  /// What the history has kept.
  void load(std::vector<store::Silence> silences) { all_ = std::move(silences); }

  std::vector<Silence> plan() const;

 private:
  void forget_past(Time now);

  std::vector<store::Silence> all_;
};

/// As a desk answers with it.
millrace::Silence told(const store::Silence& kept);

}  // namespace millrace::alert
