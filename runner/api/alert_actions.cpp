#include "runner/api/alert_actions.h"

#include <fmt/format.h>

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace millrace::api {
namespace {

/// Gathers what several stages answer. Who is to answer holds it; when nobody does any more, whether they have answered or
/// ended without, the whole is known.
template <class T>
class Gathering {
 public:
  Gathering(Error otherwise, AlertActions::Done<std::vector<T>> done) : error_(std::move(otherwise)), done_(std::move(done)) {}
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;
  ~Gathering() { accepted_ ? done_(std::move(all_)) : done_(std::move(error_)); }

  void add(std::vector<T> some) {
    std::lock_guard lock(mutex_);
    accepted_ = true;
    std::move(some.begin(), some.end(), std::back_inserter(all_));
  }
  void fail(Error error) {
    std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }

 private:
  std::mutex mutex_;
  bool accepted_ = false;
  std::vector<T> all_;
  Error error_;
  AlertActions::Done<std::vector<T>> done_;
};

template <class Desk>
Desk* desk_of(AnyStage& any) {
  return std::visit([](auto& stage) { return dynamic_cast<Desk*>(stage.get()); }, any);
}

Error ended(const StageName& at) {
  return unavailable(fmt::format("the stage '{}' has ended before it could answer; try again", at.stage));
}

Error unknown(const StageName& at) {
  if (at.pipeline.empty() && at.stage.empty()) return invalid("no stage that keeps alerts runs here");
  return invalid(fmt::format("no stage '{}' of a pipeline '{}' that keeps alerts runs here", at.stage.empty() ? "*" : at.stage,
                             at.pipeline.empty() ? "*" : at.pipeline));
}

bool within(const StageName& scope, const StageName& stage) {
  return (scope.pipeline.empty() || scope.pipeline == stage.pipeline) && (scope.stage.empty() || scope.stage == stage.stage);
}

}  // namespace

void AlertActions::acknowledge(const StageName& at, const Acknowledgement& what, Done<std::vector<Acknowledged>> done) {
  auto gathering = std::make_shared<Gathering<Acknowledged>>(ended(at), std::move(done));
  auto task = [gathering, what, now = clock_.now(), at](AnyStage& any) {
    auto* desk = desk_of<AlertDesk>(any);
    if (!desk) return gathering->fail(unknown(at));
    desk->acknowledge(what, now, [gathering](Result<std::vector<Acknowledged>> said) {
      said ? gathering->add(std::move(*said)) : gathering->fail(said.error());
    });
  };
  if (!stages_.post(at, std::move(task))) gathering->fail(unknown(at));
}

void AlertActions::acknowledge(const std::string& pipeline, Seen seen, std::function<void(Result<void>)> done) {
  const StageName scope{pipeline, {}};
  auto gathering = std::make_shared<Gathering<Acknowledged>>(
      unknown(scope), [done = std::move(done)](const auto& said) { said ? done({}) : done(said.error()); });
  for (const StageName& at : stages_in(scope))
    acknowledge(at, {seen.key, seen.rule, {}, seen.by, {}}, [gathering](Result<std::vector<Acknowledged>> said) {
      said ? gathering->add(std::move(*said)) : gathering->fail(said.error());
    });
}

void AlertActions::comment(const StageName& at, const Remark& what, Done<void> done) {
  struct Nothing {};
  auto gathering = std::make_shared<Gathering<Nothing>>(
      ended(at), [done = std::move(done)](const auto& said) { said ? done({}) : done(said.error()); });
  auto task = [gathering, what, now = clock_.now(), at](AnyStage& any) {
    auto* desk = desk_of<AlertDesk>(any);
    if (!desk) return gathering->fail(unknown(at));
    desk->comment(what, now,
                  [gathering](const Result<void>& said) { said ? gathering->add({}) : gathering->fail(said.error()); });
  };
  if (!stages_.post(at, std::move(task))) gathering->fail(unknown(at));
}

std::vector<StageName> AlertActions::stages_in(const StageName& scope) const {
  std::vector<StageName> all = stages_.names();
  std::erase_if(all, [&](const StageName& stage) { return !within(scope, stage); });
  return all;
}

template <class Ask>
void AlertActions::ask_all(const StageName& scope, Ask ask, Done<std::vector<KeptSilence>> done) {
  auto gathering = std::make_shared<Gathering<KeptSilence>>(unknown(scope), std::move(done));
  for (const StageName& at : stages_in(scope)) {
    gathering->fail(ended(at));
    stages_.post(at, [gathering, ask, at](AnyStage& any) {
      auto* desk = desk_of<SilenceDesk>(any);
      if (!desk) return gathering->fail(unknown(at));
      auto add = [gathering, at](std::vector<Silence> some) {
        std::vector<KeptSilence> kept;
        kept.reserve(some.size());
        for (Silence& one : some) kept.push_back({at, std::move(one)});
        gathering->add(std::move(kept));
      };
      ask(*desk, add, [gathering](Error error) { gathering->fail(std::move(error)); });
    });
  }
}

void AlertActions::silence(const StageName& scope, const Silence& silence, Done<std::vector<KeptSilence>> done) {
  auto ask = [silence, now = clock_.now()](SilenceDesk& desk, auto add, auto fail) {
    desk.silence(silence, now, [add, fail](Result<Silence> kept) { kept ? add({std::move(*kept)}) : fail(kept.error()); });
  };
  ask_all(scope, std::move(ask), std::move(done));
}

void AlertActions::unsilence(const StageName& scope, const Silence& which, Done<std::vector<KeptSilence>> done) {
  auto ask = [which, now = clock_.now()](SilenceDesk& desk, auto add, auto fail) {
    desk.unsilence(which, now,
                   [add, fail](Result<std::vector<Silence>> over) { over ? add(std::move(*over)) : fail(over.error()); });
  };
  ask_all(scope, std::move(ask), std::move(done));
}

}  // namespace millrace::api
