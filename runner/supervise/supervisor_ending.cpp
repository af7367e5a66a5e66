#include <fmt/format.h>

#include <algorithm>

#include "runner/supervise/supervisor.h"

// How pipelines come to their end.

namespace millrace::supervise {

void Supervisor::stop(Entry& entry, Duration patience) {
  if (!entry.running) return;
  if (!entry.ended && patience > Duration(0)) {
    entry.running->drain(End::shutdown);
    Time give_up = clock_.now() + patience;
    while (!entry.running->done() && clock_.now() < give_up) wait(give_up - clock_.now());
  }
  std::unique_ptr<RunningPipeline> ending;
  {
    std::lock_guard lock(mutex_);
    ending = std::move(entry.running);
  }
  ending.reset();
  listeners_.release(entry.listening);
  events_.wake();  // other pipelines' news may have been taken for this one's
}

void Supervisor::drain_all() {
  for (auto& [file, entry] : entries_)
    if (entry.running && !entry.ended) entry.running->drain(End::shutdown);
  Time give_up = clock_.now() + options_.drain;
  auto draining = [&] {
    return std::any_of(entries_.begin(), entries_.end(),
                       [](const auto& e) { return e.second.running && !e.second.running->done(); });
  };
  bool asked = std::exchange(stop_asked_, false);
  if (asked && draining())
    log(LogLevel::info, fmt::format("stopping; what is on its way has {:.1f} s, a second signal ends that at once",
                                    std::chrono::duration<double>(options_.drain).count()));
  while (draining() && clock_.now() < give_up && !stop_asked_) wait(give_up - clock_.now());
  if (draining())
    log(LogLevel::warning,
        fmt::format("not everything could be delivered in time: {}; what its source keeps comes again at the next start",
                    undelivered()));
  for (auto& [file, entry] : entries_) {
    entry.ended = true;
    stop(entry, Duration(0));
  }
}

/// The stages that are not done, with what waits for them.
std::string Supervisor::undelivered() const {
  std::string text;
  for (const StageView& view : views()) {
    if (view.condition == Condition::done || view.condition == Condition::failed) continue;
    text +=
        fmt::format("{}{}/{} ({} records queued)", text.empty() ? "" : ", ", view.pipeline, view.stage, view.queued_records);
  }
  return text;
}

}  // namespace millrace::supervise
