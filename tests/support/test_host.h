#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "runner/stage/context.h"
#include "tests/support/temp_folder.h"

namespace millrace::test {

/// The runner's part for one stage under test: a clock that the test moves, records of everything the stage says. Logs and
/// wakes may come from any thread; the rest belongs to the test's.
class TestHost final : public Host, public std::enable_shared_from_this<TestHost> {
 public:
  static std::shared_ptr<TestHost> make(std::string stage = "stage") {
    return std::shared_ptr<TestHost>(new TestHost(std::move(stage)));
  }

  Context context() { return Context(shared_from_this()); }

  struct Rejected {
    std::string device;
    ErrorKind kind;
    std::string what;
  };

  VirtualClock time;
  std::vector<Rejected> rejects;
  Ack ack;  ///< of the batch being processed: what take_ack() hands out
  std::vector<std::string> notified_stages;
  std::stop_source stop;
  TempFolder folder;

  template <class T>
  void provide(T& service) {
    services_[std::type_index(typeid(T))] = &service;
  }

  std::vector<std::string> logs() const {
    std::lock_guard lock(mutex_);
    return logs_;
  }

  /// Waits until the stage has asked to be woken since the last call, or the deadline has passed (false).
  bool wait_for_wake(std::chrono::milliseconds deadline = std::chrono::seconds(60)) {
    std::unique_lock lock(wakes_->mutex);
    bool woken = wakes_->changed.wait_for(lock, deadline, [&] { return wakes_->pending; });
    wakes_->pending = false;
    return woken;
  }

  const std::string& pipeline() const override { return pipeline_; }
  const std::string& stage() const override { return stage_; }
  const std::filesystem::path& data_folder() const override { return folder.path(); }
  const Clock& clock() const override { return time; }
  std::stop_token stop_token() const override { return stop.get_token(); }
  Waker waker() override { return Waker(wakes_); }
  void log(LogLevel, std::string_view text) override {
    std::lock_guard lock(mutex_);
    logs_.emplace_back(text);
  }
  void reject(const Record& record, const Error& error) override {
    rejects.push_back({std::string(record.device), error.kind, error.what});
  }
  Ack take_ack() override { return std::exchange(ack, Ack{}); }
  Counter& counter(std::string_view name) override { return named(counters_, name); }
  Counter& gauge(std::string_view name) override { return named(gauges_, name); }
  Counter& dropped(std::string_view reason) override { return named(dropped_, reason); }
  const std::vector<std::string>& notified() const override { return notified_stages; }
  void* service(std::type_index type) override {
    auto found = services_.find(type);
    return found == services_.end() ? nullptr : found->second;
  }

 private:
  explicit TestHost(std::string stage) : stage_(std::move(stage)) {}

  struct Wakes final : Waker::Target {
    std::mutex mutex;
    std::condition_variable changed;
    bool pending = false;
    void wake() noexcept override {
      std::lock_guard lock(mutex);
      pending = true;
      changed.notify_all();
    }
  };

  Counter& named(std::map<std::string, Counter, std::less<>>& counters, std::string_view name) {
    std::lock_guard lock(mutex_);
    auto found = counters.find(name);
    return found != counters.end() ? found->second : counters.try_emplace(std::string(name)).first->second;
  }

  std::string pipeline_ = "test";
  std::string stage_;
  mutable std::mutex mutex_;
  std::vector<std::string> logs_;
  std::map<std::string, Counter, std::less<>> counters_;
  std::map<std::string, Counter, std::less<>> gauges_;
  std::map<std::string, Counter, std::less<>> dropped_;
  std::map<std::type_index, void*> services_;
  std::shared_ptr<Wakes> wakes_ = std::make_shared<Wakes>();
};

}  // namespace millrace::test
