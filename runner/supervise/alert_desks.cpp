#include "runner/supervise/alert_desks.h"

#include <fmt/format.h>

#include <memory>
#include <mutex>

#include "runner/stage/alert_desk.h"
#include "runner/supervise/supervisor.h"

namespace millrace::supervise {
namespace {

/// Gathers what the stages say. The last to let go of it, whether its stage was asked or has ended, answers.
class Asked {
 public:
  Asked(std::string pipeline, std::function<void(Result<void>)> done)
      : result_(invalid(fmt::format("no stage of the pipeline '{}' keeps alerts", pipeline))), done_(std::move(done)) {}
  ~Asked() { done_(std::move(result_)); }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

  void said(Result<void> result) {
    std::lock_guard lock(mutex_);
    if (!result_) result_ = std::move(result);  // one that knows it is enough
  }

 private:
  std::mutex mutex_;
  Result<void> result_;
  std::function<void(Result<void>)> done_;
};

}  // namespace

void SupervisedDesks::acknowledge(const std::string& pipeline, Seen seen, std::function<void(Result<void>)> done) {
  auto asked = std::make_shared<Asked>(pipeline, std::move(done));
  for (const StageView& view : supervisor_.views()) {
    if (view.pipeline != pipeline) continue;
    supervisor_.post(pipeline, view.stage, [asked, seen](AnyStage& any) {
      auto* transform = std::get_if<std::unique_ptr<Transform>>(&any);
      auto* desk = transform ? dynamic_cast<AlertDesk*>(transform->get()) : nullptr;
      if (!desk) return;
      desk->acknowledge({seen.key, seen.rule, {}, seen.by, {}}, SystemClock().now(),
                        [asked](const Result<std::vector<Acknowledged>>& said) {
                          asked->said(said ? Result<void>{} : Result<void>(said.error()));
                        });
    });
  }
}

}  // namespace millrace::supervise
