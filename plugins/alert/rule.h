#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/alert/fence.h"
#include "plugins/alert/notify.h"
#include "plugins/alert/quote.h"
#include "plugins/alert/window.h"
#include "runner/stage/error.h"

namespace millrace::alert {

/// What a rule looks at.
enum class Watch : std::uint8_t {
  value,     ///< each record's own
  window,    ///< each window that closes
  trailing,  ///< an aggregate of the time up to each record
  ewma,      ///< exponentially weighted mean
  zscore,    ///< distance from the mean of the records before, in standard deviations
  distance,  ///< metres outside a fence
  changed,   ///< 1 where the value differs from the one before, else 0
  silence,   ///< that no record arrives
  trouble,   ///< what goes wrong in the stage itself
};

/// Works a value out of figures, where no aggregate says what is wanted.
class Formula {
 public:
  virtual ~Formula() = default;

  /// `figures`: of all windows, in their order. Null is no decision; so is an error, which is told of.
  virtual Result<double> value(std::span<const double> figures) = 0;
};

/// What a formula asks of one field.
struct WindowPart {
  std::size_t input = 0;
  std::vector<Aggregate> aggregates;
  WindowPlan plan;
};

/// Alerts of the source mute those of a target that have the same texts for these labels, whichever their keys.
struct Inhibition {
  std::size_t source = 0;  ///< rule, by place in the plan
  std::vector<std::string> labels;

  bool operator==(const Inhibition&) const = default;
};

/// What a rule is to an inhibition.
struct InhibitionPart {
  std::size_t inhibition = 0;  ///< by place in the plan
  bool source = false;         ///< else a target
  /// The texts of the labels, as one; nothing where one is empty or quotes what is not known.
  std::function<std::optional<std::string>(std::string_view key, std::span<const Quote>)> texts_of;
};

/// One rule, checked and ready to run; the same for all keys.
struct RulePlan {
  std::string name;
  Watch watch = Watch::value;
  std::size_t input = 0;  ///< which of a record's inputs; a distance takes this and the next as latitude and longitude
  std::optional<WindowPlan> window;   ///< of window, trailing, zscore
  std::vector<Aggregate> aggregates;  ///< the first is what conditions look at; of a formula its result
  std::shared_ptr<Formula> formula;   ///< null for none
  std::vector<WindowPart> parts;      ///< of a formula: windows of equal extent; `window` is the first one's
  Micros tau = 0;                     ///< of ewma
  std::int64_t min_samples = 2;       ///< of zscore
  double min_stddev = 0;
  Fence fence;
  std::optional<double> max_accuracy;  ///< of distance: metres; the input after the position's says how many it has
  Micros silent_after = 0;             ///< of silence
  Micros restart_grace = 0;
  std::vector<std::size_t> inhibitors;      ///< rules, by place in the plan, whose firing for a key mutes this one for it
  std::vector<InhibitionPart> across_keys;  ///< of inhibitions by labels
  LifePlan life;                            ///< without levels there is no condition: windows only
  NotifyPlan notify;
  std::function<std::string(std::string_view key, std::span<const Quote>)> group_of;   ///< where alerts are told in groups
  std::function<AlertLabels(std::string_view key, std::span<const Quote>)> labels_of;  ///< null where there are none
  std::uint64_t meaning = 0;  ///< state of a rule with another meaning is not taken over

  bool has_condition() const { return !life.levels.empty(); }
};

struct MonitorPlan {
  TimePolicy time;
  std::vector<RulePlan> rules;  ///< at most one of them watches for silence, and one for trouble
  std::vector<Inhibition> inhibitions;
  std::size_t inputs = 0;
  std::size_t quotes = 0;  ///< fields that texts quote
  std::size_t max_keys = 100'000;
  std::size_t max_samples = 10'000;
};

}  // namespace millrace::alert
