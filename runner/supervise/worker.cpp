#include "runner/supervise/worker.h"

#include <pthread.h>

#include <algorithm>

namespace millrace::supervise {

Worker::Worker(std::string name, const Clock& clock, std::function<void()> on_change)
    : name_(std::move(name)), clock_(clock), on_change_(std::move(on_change)) {}

Worker::~Worker() { stop(); }

void Worker::start() {
  poller_->clear();
  for (StageRunner* stage : stages) {
    for (const link::Link* input : stage->inputs()) poller_->watch_receiver(*input, [stage] { return stage->wants_input(); });
    for (const auto& output : stage->outputs()) poller_->watch_sender(*output.link);
    stage->host().wakes()->move_to(poller_);
    stage->host().go_on();
  }
  between_steps_ = false;
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  pthread_setname_np(thread_.native_handle(), name_.substr(0, 15).c_str());
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  poller_->wake();
  {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [&] { return between_steps_; }))
      for (StageRunner* stage : stages) stage->host().interrupt();
  }
  thread_.join();
}

void Worker::run(std::stop_token stop) {
  using Standing = std::pair<Condition, bool>;
  auto standing = [](const StageRunner& stage) { return Standing(stage.condition(), stage.tried()); };
  std::vector<Standing> seen;
  for (StageRunner* stage : stages) seen.push_back(standing(*stage));
  while (!stop.stop_requested()) {
    bool moved = false;
    for (StageRunner* stage : stages) moved |= stage->step(clock_.now());
    bool changed = false;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      Standing now = standing(*stages[i]);
      changed |= now != std::exchange(seen[i], now);
    }
    if (changed) on_change_();
    if (!moved && !changed) wait();
  }
  std::lock_guard lock(mutex_);
  between_steps_ = true;
  changed_.notify_all();
}

void Worker::wait() {
  std::optional<Time> first;
  for (StageRunner* stage : stages)
    if (auto deadline = stage->deadline(); deadline && (!first || *deadline < *first)) first = deadline;
  if (!first) return poller_->wait(std::nullopt);
  poller_->wait(*first - clock_.now());
}

}  // namespace millrace::supervise
