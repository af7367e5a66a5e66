#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runner/link/poller.h"
#include "runner/supervise/stage_runner.h"

namespace millrace::supervise {

/// One thread with the stages that live on it, in the order in which records flow. Each turn hands a batch down the whole
/// chain, depth first. Stages join and leave only while the thread stands still.
class Worker {
 public:
  Worker(std::string name, const Clock& clock, std::function<void()> on_change);
  ~Worker();  ///< stops
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  const std::string& name() const { return name_; }
  std::vector<StageRunner*> stages;

  void start();

  /// Ends the thread between two steps. The stages stay as they are and may go on with another start(). One that waits for its
  /// outside for longer than `patience` is interrupted.
  void stop();

 private:
  static constexpr std::chrono::milliseconds patience{200};

  void run(std::stop_token stop);
  void wait();

  std::string name_;
  const Clock& clock_;
  std::function<void()> on_change_;  ///< where a stage stands has changed; called on the thread
  std::shared_ptr<link::Poller> poller_ = std::make_shared<link::Poller>();

  std::mutex mutex_;
  std::condition_variable changed_;
  bool between_steps_ = true;  ///< for good: the thread ends

  std::jthread thread_;
};

}  // namespace millrace::supervise
