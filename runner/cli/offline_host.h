#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runner/stage/context.h"

namespace millrace::cli {

/// The host of a stage that is constructed and never connected, as `millrace check` does with every stage.
class OfflineHost final : public Host {
 public:
  OfflineHost(std::string pipeline, std::string stage) : pipeline_(std::move(pipeline)), stage_(std::move(stage)) {}

  const std::string& pipeline() const override { return pipeline_; }
  const std::string& stage() const override { return stage_; }
  const std::filesystem::path& data_folder() const override { return nowhere_; }
  const Clock& clock() const override { return clock_; }
  std::stop_token stop_token() const override { return {}; }
  Waker waker() override { return {}; }
  void log(LogLevel, std::string_view) override {}
  void reject(const Record&, const Error&) override {}
  Ack take_ack() override { return {}; }
  Counter& counter(std::string_view name) override { return counters_[std::string(name)]; }
  Counter& gauge(std::string_view name) override { return counters_[std::string(name)]; }
  Counter& dropped(std::string_view reason) override { return counters_[std::string(reason)]; }
  const std::vector<std::string>& notified() const override { return nobody_; }
  void* service(std::type_index) override { return nullptr; }

 private:
  std::string pipeline_, stage_;
  std::filesystem::path nowhere_;
  VirtualClock clock_;
  std::map<std::string, Counter> counters_;
  std::vector<std::string> nobody_;
};

}  // namespace millrace::cli
