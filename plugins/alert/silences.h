#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugins/alert/notify.h"
#include "runner/stage/silence.h"

namespace millrace::alert {

/// The silences of one stage as people asked for them; Monitor has them as it needs them. Bounded: those that are over go.
class Silences {
 public:
  static constexpr std::size_t most = 10'000;

  /// Takes the place of one with the same id, or an id of its own is made.
  Result<void> add(millrace::Silence silence, Time now);

  /// Ends the one with that id, or without an id those with the same rule and key.
  Result<void> end(const millrace::Silence& which, Time now);

  const std::vector<millrace::Silence>& all() const { return all_; }
  std::vector<Silence> plan() const;

  std::string save() const;
  bool load(std::string_view bytes);  ///< false if they make no sense, which leaves none

 private:
  void forget_past(Time now);

  std::vector<millrace::Silence> all_;
};

}  // namespace millrace::alert
