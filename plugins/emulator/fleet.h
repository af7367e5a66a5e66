#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/emulator/anomaly.h"
#include "runner/stage/record.h"

namespace millrace::emulator {

/// What a device is and sends. Each profile is one file with one class of devices.
enum class Profile { getstarted, vehicle, process_line, drilling_rig, shop };

/// The times of a profile's anomalies where the options leave them open.
Script script_of(const Anomaly& anomaly, Profile profile);

/// All devices of one profile. On the stage's thread.
class Fleet {
 public:
  virtual ~Fleet() = default;
  virtual std::size_t size() const = 0;

  /// Appends what device `index` sends at `at`, one interval after it last had the chance; nothing where it is silent.
  virtual void append(Batch& batch, std::size_t index, Time at, const std::optional<Episode>& episode) = 0;
};

/// What a fleet is made of. Readings are a function of these alone: the same give the same on every run and machine.
struct FleetPlan {
  std::uint64_t seed = 1;
  std::uint32_t devices = 1;
  Duration interval{};
};

std::unique_ptr<Fleet> make_fleet(Profile profile, const FleetPlan& plan);

// One a profile, each in a file of its own.
std::unique_ptr<Fleet> getstarted_fleet(const FleetPlan& plan);
std::unique_ptr<Fleet> vehicle_fleet(const FleetPlan& plan);
std::unique_ptr<Fleet> process_line_fleet(const FleetPlan& plan);
std::unique_ptr<Fleet> drilling_rig_fleet(const FleetPlan& plan);
std::unique_ptr<Fleet> shop_fleet(const FleetPlan& plan);

/// A fleet of Device(seed, number, interval), numbered from 1, with append(Batch&, Time, const std::optional<Episode>&).
template <class Device>
class FleetOf final : public Fleet {
 public:
  explicit FleetOf(const FleetPlan& plan) {
    devices_.reserve(plan.devices);
    for (std::uint32_t number = 1; number <= plan.devices; ++number) devices_.emplace_back(plan.seed, number, plan.interval);
  }

  std::size_t size() const override { return devices_.size(); }
  void append(Batch& batch, std::size_t index, Time at, const std::optional<Episode>& episode) override {
    devices_[index].append(batch, at, episode);
  }

 private:
  std::vector<Device> devices_;
};

/// A message under way: its fields in the order in which they are set, and `ts` at the end.
class Message {
 public:
  Message(Batch& batch, const std::string& device, Time at);

  Message& set(std::string_view name, Value value);
  Message& set(std::string_view name, double value) { return set(name, Value::real(value)); }
  Message& set(std::string_view name, std::int64_t value) { return set(name, Value::integer(value)); }
  Arena& arena() { return arena_; }
  std::string_view device() const { return record_.device; }

  /// When it was measured, in milliseconds since the epoch.
  void stamp();

 private:
  Arena& arena_;
  Record& record_;
};

}  // namespace millrace::emulator
