#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runner/graph/pipeline.h"
#include "runner/link/link.h"
#include "runner/stage/alert_desk.h"
#include "runner/stage/trace.h"
#include "runner/store/store.h"
#include "runner/supervise/stage_runner.h"

namespace millrace::supervise {

/// Runs a pipeline in virtual time, on the caller's thread alone: its transforms are the real ones, its sources are fed by the
/// caller, its sinks take everything and do nothing, unless an outage is told, its history is in memory. For `millrace test`
/// and `millrace replay`.
class VirtualRun {
 public:
  /// What is seen of a stage.
  enum class Seen {
    emitted,  ///< records that a source or a transform hands on
    taken,    ///< records that a sink has taken
    sent,     ///< messages that a sink would have sent to its clients: Broadcasts::messages()
  };

  /// Sees every batch that comes out of a stage, and the virtual time.
  using Observer = std::function<void(Seen seen, const std::string& stage, const Batch&, Time now)>;

  /// How time passes from one input to the next.
  enum class Passing {
    deadlines,  ///< through every moment at which a stage wants to run, as it does live
    inputs,     ///< at once: what fell due in between happens when the next input is there
  };

  /// What becomes of the contents of windows at a restart.
  enum class Windows { kept, lost };

  /// `trace`, if not null, sees what happens inside the stages. `pipeline` outlives the run.
  VirtualRun(const graph::Pipeline& pipeline, Time start, Observer observer,
             std::function<void(LogLevel, std::string_view)> log, Trace* trace = nullptr, Passing passing = Passing::deadlines);
  ~VirtualRun();

  /// Connects the stages; an error names the stage that refused.
  Result<void> start();

  Time now() const { return clock_.now(); }

  /// Moves the clock forward, through every moment before `to` at which a stage wants to run. What is due at `to` itself waits
  /// for the input of that moment, or for tick(). A time that has passed changes nothing.
  void advance(Time to);

  /// Lets everything that is due at the present happen.
  void tick() { settle(); }

  /// Puts records into the pipeline at the present, as if `source` had received them ("" for the first source).
  Result<void> feed(Batch batch, const std::string& source = "");

  /// Somebody acknowledges an alert: in the stages that keep alerts. It is well if one of them knows the rule.
  Result<void> acknowledge(const Acknowledgement& acknowledgement);

  /// Somebody mutes alerts, or ends that, in the same stages.
  Result<void> silence(const Silence& silence);
  Result<void> unsilence(const Silence& which);

  /// The process is lost, everything up to `down` being saved, and starts again at `up`: new stages on the same history. The
  /// clock stands at `up` then; the stages run when the next input comes or time passes.
  Result<void> restart(Time down, Time up, Windows windows);

  /// The sink's outside is away until then: it takes nothing, and the runner tries again as it does live.
  Result<void> outage(const std::string& sink, Time until);

  /// The file is saved as `next` says: stages that differ are replaced on the same history, the others keep their state.
  Result<void> reload(std::shared_ptr<const graph::Pipeline> next);

  /// The end of input: open windows fire.
  void finish();

  /// How many records each stage has emitted so far, and how many went to its dead letters.
  std::map<std::string, std::uint64_t> emitted() const;
  std::map<std::string, std::uint64_t> rejected() const;

 private:
  class Feed;
  class Capture;
  using Runners = std::map<std::string, std::unique_ptr<StageRunner>>;
  using Links = std::map<std::pair<std::string, std::string>, std::unique_ptr<link::Link>>;  ///< by sender and reader

  void make(Runners kept = {}, const Runners& former = {});
  std::unique_ptr<StageRunner> make_stage(std::size_t index);
  void count(StageRunner& ended);
  void settle();
  Result<void> refused() const;
  template <class Desk, class T, class F>
  Result<void> at_desks(F&& f);

  std::string name_;  ///< of the pipeline, as a reload leaves it
  const graph::Pipeline* pipeline_;
  std::shared_ptr<const graph::Pipeline> reloaded_;  ///< what pipeline_ points to after a reload
  VirtualClock clock_;
  Passing passing_;
  Observer observer_;
  std::shared_ptr<Services> services_;
  std::unique_ptr<store::Store> store_;
  Links links_;
  std::map<std::string, Time> outages_;                ///< by sink: when its outside is back
  std::vector<std::unique_ptr<StageRunner>> runners_;  ///< in the order of the pipeline's stages
  std::map<std::string, Feed*> feeds_;
  std::string first_source_;
  std::map<std::string, std::uint64_t> emitted_before_, rejected_before_;  ///< by stages that have ended
};

}  // namespace millrace::supervise
