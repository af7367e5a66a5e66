#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <typeindex>
#include <vector>

#include "runner/stage/ack.h"
#include "runner/stage/error.h"
#include "runner/stage/record.h"
#include "runner/stage/time.h"

namespace millrace {

enum class LogLevel { debug, info, warning, error };

/// A figure that only grows, or a gauge that is set. Any thread; exported at /metrics with the pipeline's and stage's names.
class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Wakes the thread of one stage: the runner then calls poll() on a source, tick() on a transform or sink. Copied freely,
/// called from any thread, harmless once the stage is gone. Several wakes before the stage runs are one.
class Waker {
 public:
  class Target {
   public:
    virtual ~Target() = default;
    virtual void wake() noexcept = 0;
  };

  Waker() = default;
  explicit Waker(std::shared_ptr<Target> target) : target_(std::move(target)) {}
  void wake() const noexcept {
    if (target_) target_->wake();
  }

 private:
  std::shared_ptr<Target> target_;
};

/// What the runner does for one stage. Implemented by the runner and by the tests' support; stages see it through Context.
class Host {
 public:
  virtual ~Host() = default;

  virtual const std::string& pipeline() const = 0;
  virtual const std::string& stage() const = 0;
  virtual const std::filesystem::path& data_folder() const = 0;
  virtual const Clock& clock() const = 0;
  virtual std::stop_token stop_token() const = 0;
  virtual Waker waker() = 0;
  virtual void log(LogLevel level, std::string_view text) = 0;
  virtual void reject(const Record& record, const Error& error) = 0;
  virtual Ack take_ack() = 0;
  virtual Counter& counter(std::string_view name) = 0;
  virtual Counter& gauge(std::string_view name) = 0;
  virtual Counter& dropped(std::string_view reason) = 0;
  virtual const std::vector<std::string>& notified() const = 0;
  virtual void* service(std::type_index type) = 0;
};

/// A stage's view of the world: its clock, its counters, its dead letters, the rooms it needs. A value; all copies mean the
/// same stage. Unless said otherwise, call from the stage's own thread only.
class Context {
 public:
  explicit Context(std::shared_ptr<Host> host) : host_(std::move(host)) {}

  const std::string& pipeline() const { return host_->pipeline(); }
  const std::string& stage() const { return host_->stage(); }

  /// The running instance's data folder; nothing is created in it before connect().
  const std::filesystem::path& data_folder() const { return host_->data_folder(); }

  /// Wall clock, or the virtual one under test and replay. Any thread.
  Time now() const { return host_->clock().now(); }

  /// Set when the stage is to end: whoever waits for the outside gives up. Any thread.
  std::stop_token stop_token() const { return host_->stop_token(); }

  Waker waker() const { return host_->waker(); }

  /// For the operator; the runner puts pipeline and stage in front. Never a secret. Any thread.
  void log(LogLevel level, std::string_view text) const { host_->log(level, text); }

  /// Puts a record into the dead letters, with the reason, and counts it. It is committed before the input is settled.
  void reject(const Record& record, const Error& error) const { host_->reject(record, error); }

  /// Takes the Ack of the batch now being processed: the stage, not the runner, then settles it. Within process() or write().
  Ack take_ack() const { return host_->take_ack(); }

  /// Counts something of this stage's own: `millrace_stage_<name>_total`. A name says what is counted, in the plural, and the
  /// unit where it is not a number of things. The reference holds as long as the stage; any thread may use it.
  Counter& counter(std::string_view name) const { return host_->counter(name); }

  /// Something of this stage's own that goes up and down: `millrace_stage_<name>`, otherwise the same.
  Counter& gauge(std::string_view name) const { return host_->gauge(name); }

  /// Counts records that a declared policy drops, by reason. Any thread may use the reference.
  Counter& dropped(std::string_view reason) const { return host_->dropped(reason); }

  /// The ids of the stages below that tell people (push), in order: a notification is emitted once for each, with its id in the
  /// record's meta `link`.
  const std::vector<std::string>& notified() const { return host_->notified(); }

  /// A room of the runner that the stage needs (http::Routes, store::Store), or null where there is none, as under
  /// `millrace check`. Ask in connect(), not in the constructor.
  template <class T>
  T* service() const {
    return static_cast<T*>(host_->service(std::type_index(typeid(T))));
  }

 private:
  std::shared_ptr<Host> host_;
};

}  // namespace millrace
