#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runner/stage/alert_desk.h"
#include "runner/stage/alert_desks.h"
#include "runner/stage/plugin.h"

namespace millrace::api {

/// Names a running stage; as a scope, an empty text means any.
struct StageName {
  std::string pipeline, stage;
};

/// The running stages that keep alerts, as whoever runs them gives access to them. Any thread.
class AlertStages {
 public:
  virtual ~AlertStages() = default;
  virtual std::vector<StageName> names() const = 0;

  /// Runs `task` on the stage's own thread, or destroys it unrun if the stage ends before; false if there is no such stage.
  virtual bool post(const StageName& stage, std::function<void(AnyStage&)> task) = 0;
};

/// A silence as one stage keeps it.
struct KeptSilence {
  StageName stage;
  Silence silence;
};

/// What people do to the alerts of a running instance, however they ask: the command line through control.sock, programs
/// through REST, clients of a hub through their stage. Any thread. Each `done` is called exactly once, on a stage's thread or
/// before the call returns: when the history has what it says, or with an error. How long that takes is the stages' affair, so
/// whoever asks has a deadline of their own, and says when it has passed that it may be done all the same.
class AlertActions final : public AlertDesks {
 public:
  template <class T>
  using Done = std::function<void(Result<T>)>;

  /// Both outlive it and every action.
  AlertActions(AlertStages& stages, const Clock& clock) : stages_(stages), clock_(clock) {}

  void acknowledge(const StageName& at, const Acknowledgement& what, Done<std::vector<Acknowledged>> done);
  /// At every stage of the pipeline that keeps alerts; well if one of them takes it.
  void acknowledge(const std::string& pipeline, Seen seen, std::function<void(Result<void>)> done) override;

  void comment(const StageName& at, const Remark& what, Done<void> done);

  /// At every stage in the scope; well if one of them takes it, as not all have every rule.
  void silence(const StageName& scope, const Silence& silence, Done<std::vector<KeptSilence>> done);
  void unsilence(const StageName& scope, const Silence& which, Done<std::vector<KeptSilence>> done);

 private:
  std::vector<StageName> stages_in(const StageName& scope) const;
  template <class Ask>
  void ask_all(const StageName& scope, Ask ask, Done<std::vector<KeptSilence>> done);

  AlertStages& stages_;
  const Clock& clock_;
};

}  // namespace millrace::api
