#include "plugins/emulator/fleet.h"
#include "plugins/emulator/walk.h"

namespace millrace::emulator {
namespace {

// Within what a usual 500-ton top drive can do (NOV TDS-11SA: 50.8 kNm of continuous drilling torque, 228 revolutions a
// minute); where a rig drills within that, and how much it wanders, is assumed.
constexpr Quantity rpm{120, 2, 10, 0, 228, 0.1};
constexpr Quantity torque{20, 0.8, 8, 0, 50.8, 0.01};     // kNm
constexpr Quantity hook_load{120, 1.5, 30, 0, 450, 0.1};  // tonnes

constexpr double hard_rock = 18;     // kNm on top
constexpr double overpull = 115;     // tonnes on top
constexpr double stall_torque = 20;  // kNm on top, up to where the drive's limiter holds
constexpr double stalled_for = 2.5;  // seconds until the driller picks up
constexpr double spins_up_in = 4;    // seconds after that

/// A rig that drills. Its episodes take turns: the torque goes up and stays, the string stalls and spins up again, the string
/// is stuck and the hook pulls.
class Rig {
 public:
  Rig(std::uint64_t seed, std::uint32_t number, Duration interval)
      : name_("rig-" + std::to_string(number)),
        random_(seed, number),
        interval_seconds_(std::chrono::duration<double>(interval).count()),
        rpm_(rpm, random_),
        torque_(torque, random_),
        hook_load_(hook_load, random_) {}

  void append(Batch& batch, Time at, const std::optional<Episode>& episode) {
    Offsets offsets = episode ? offsets_of(*episode) : Offsets{};
    Message message(batch, name_, at);
    message.set("deviceId", Value::string(message.device()))
        .set("messageId", ++messages_)
        .set("rpm", rpm_.next(rpm, interval_seconds_, random_, offsets.rpm))
        .set("torque", torque_.next(torque, interval_seconds_, random_, offsets.torque))
        .set("torque_unit", Value::string("kNm"))
        .set("hook_load", hook_load_.next(hook_load, interval_seconds_, random_, offsets.hook_load))
        .set("hook_load_unit", Value::string("t"))
        .stamp();
  }

 private:
  struct Offsets {
    double rpm = 0, torque = 0, hook_load = 0;
  };

  static Offsets offsets_of(const Episode& episode) {
    switch (episode.kind % 3) {
      case 0: return {-15 * episode.rise_and_fall(), hard_rock * episode.rise_and_fall(), 0};
      case 1: return stall(episode.seconds);
      default: return {0, 0, overpull * episode.rise_and_fall()};
    }
  }

  static Offsets stall(double seconds) {
    if (seconds < stalled_for) return {-rpm.high, stall_torque, 0};
    double spun_up = std::min((seconds - stalled_for) / spins_up_in, 1.0);
    return {rpm.mean * (spun_up - 1), 0, 0};
  }

  std::string name_;
  Random random_;
  double interval_seconds_;
  Walk rpm_, torque_, hook_load_;
  std::int64_t messages_ = 0;
};

}  // namespace

std::unique_ptr<Fleet> drilling_rig_fleet(const FleetPlan& plan) { return std::make_unique<FleetOf<Rig>>(plan); }

}  // namespace millrace::emulator
