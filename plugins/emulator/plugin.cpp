#include "runner/config/plugin.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "plugins/emulator/fleet.h"
#include "runner/stage/connects_beside.h"

namespace millrace {

void emulator::Anomaly::describe(config::Fields<Anomaly>& f) {
  f.field("every", &Anomaly::every)
      .doc(
          "Time from one anomaly to the next, and from the start to the first; the devices take turns; 0s: none. Default: 20s "
          "with `getstarted`, else 2m.")
      .max(std::chrono::hours(24 * 365));
  f.field("length", &Anomaly::length)
      .doc("How long it lasts; no longer than `every`. Default: 5s with `getstarted`, else 90s.")
      .min(1ms);
  f.field("amplitude", &Anomaly::amplitude)
      .doc("With `getstarted`: how many percentage points the humidity jumps; negative: down.")
      .min(-100.0)
      .max(100.0);
  f.shorthand("every");
}

namespace {

using emulator::Anomaly;
using emulator::Profile;

/// A fleet of devices that all measure at the same instants: start, start + interval, and so on. It never waits: poll() gives
/// what is due by the Context's clock. Under a virtual clock no instant is missed; on a wall clock, instants further back than
/// `patience` (a machine that slept, a pipeline that cannot follow) are skipped and counted, as a real board would miss them.
class Emulator final : public Source, public ConnectsBeside {
 public:
  struct Config {
    std::uint32_t devices = 3;
    Duration interval{1s};
    std::uint64_t seed = 1;
    Profile profile = Profile::getstarted;
    Anomaly anomaly;
    std::uint64_t count = 0;

    static void describe(config::Fields<Config>& f);
  };

  Emulator(Config config, Context context)
      : config_(config),
        context_(std::move(context)),
        missed_(context_.dropped("missed")),
        script_(emulator::script_of(config_.anomaly, config_.profile)),
        fleet_(emulator::make_fleet(config_.profile, {config_.seed, config_.devices, config_.interval})) {}

  Result<void> connect() override {
    start_ = std::chrono::floor<std::chrono::milliseconds>(context_.now());
    return {};
  }

  Result<Batch> poll() override {
    Time now = context_.now();
    skip_missed(now);
    Batch batch;
    while (!over() && due() <= now && batch.size() < largest_batch) append_next(batch);
    if (batch.empty() && over()) return finished();
    return batch;
  }

  std::optional<Time> next_tick() const override { return due(); }

 private:
  static constexpr std::size_t largest_batch = 1024;
  static constexpr Duration patience{10s};

  Time due() const { return start_ + config_.interval * static_cast<std::int64_t>(instant_); }
  bool over() const { return config_.count != 0 && sent_ == config_.count; }

  void append_next(Batch& batch) {
    fleet_->append(batch, next_device_, due(), script_.episode(due() - start_, next_device_, fleet_->size()));
    if (++next_device_ < fleet_->size()) return;
    next_device_ = 0;
    ++instant_;
    ++sent_;
  }

  void skip_missed(Time now) {
    if (next_device_ != 0 || now - due() < std::max<Duration>(patience, 2 * config_.interval)) return;
    auto instants = static_cast<std::uint64_t>((now - due()) / config_.interval);
    instant_ += instants;
    missed_.add(instants * fleet_->size());
  }

  const Config config_;
  Context context_;
  Counter& missed_;
  const emulator::Script script_;
  std::unique_ptr<emulator::Fleet> fleet_;
  Time start_{};
  std::uint64_t instant_ = 0;
  std::uint64_t sent_ = 0;  ///< by each device
  std::size_t next_device_ = 0;
};

void Emulator::Config::describe(config::Fields<Config>& f) {
  f.field("devices", &Config::devices)
      .doc("How many devices; numbered, such as AZ3166-1, AZ3166-2 and so on.")
      .min(1U)
      .max(1'000'000U);
  f.field("interval", &Config::interval).doc("Time between two messages of a device.").min(1ms).max(std::chrono::hours(24));
  f.field("seed", &Config::seed).doc("What the readings derive from: the same seed gives the same readings.");
  f.choice("profile", &Config::profile,
           {{"getstarted", Profile::getstarted},
            {"vehicle", Profile::vehicle},
            {"process_line", Profile::process_line},
            {"drilling_rig", Profile::drilling_rig},
            {"shop", Profile::shop}})
      .doc("What the devices are and send; `getstarted` is an AZ3166 DevKit.");
  f.field("anomaly", &Config::anomaly)
      .doc(
          "Something out of the usual every so often: with `getstarted` the humidity jumps, as if somebody breathed on a "
          "device.");
  f.field("count", &Config::count).doc("Messages of each device after which the source ends; 0: it never ends.");
  f.check({"anomaly", "profile"}, [](const Config& c, config::CheckReport<Config>& report) {
    emulator::Script script = emulator::script_of(c.anomaly, c.profile);
    if (script.every > Duration::zero() && script.length > script.every)
      report.wrong("anomaly", "anomaly: length " + config::show_duration(script.length) + " is longer than every " +
                                  config::show_duration(script.every));
  });
}

}  // namespace

Plugin emulator_plugin() {
  return config::define_plugin<Emulator>(
      "emulator", "Devices that exist only here: seeded telemetry of AZ3166 DevKits, vehicles, machines, rigs and shops.");
}

}  // namespace millrace
