#include "plugins/emulator/fleet.h"
#include "plugins/emulator/walk.h"

namespace millrace::emulator {
namespace {

// A pasteuriser: milk is held at 72 degrees Celsius for 15 s (Grade "A" Pasteurized Milk Ordinance, FDA, "pasteurization": 161
// F, 15 s). Pressures of some bar are usual in its plates; how much both wander is assumed.
constexpr Quantity temperature{72, 0.6, 300, 0, 150, 0.1};
constexpr Quantity pressure{4, 0.12, 120, 0, 10, 0.01};

constexpr double overheated_by = 35;
constexpr double overpressure = 3.4;

/// A machine of a process line. Its episodes take turns: it overheats, its pressure rises, its valve reports a fault, it is off
/// line and sends nothing.
class Machine {
 public:
  Machine(std::uint64_t seed, std::uint32_t number, Duration interval)
      : name_("press-" + std::to_string(number)),
        random_(seed, number),
        interval_seconds_(std::chrono::duration<double>(interval).count()),
        temperature_(temperature, random_),
        pressure_(pressure, random_) {}

  void append(Batch& batch, Time at, const std::optional<Episode>& episode) {
    enum class Trouble : std::uint64_t { heat, press, valve, offline, kinds };
    auto trouble = episode ? static_cast<Trouble>(episode->kind % static_cast<std::uint64_t>(Trouble::kinds)) : Trouble::kinds;
    double extent = episode ? episode->rise_and_fall() : 0;
    double degrees =
        temperature_.next(temperature, interval_seconds_, random_, trouble == Trouble::heat ? overheated_by * extent : 0);
    double bar = pressure_.next(pressure, interval_seconds_, random_, trouble == Trouble::press ? overpressure * extent : 0);
    if (trouble == Trouble::offline) return;

    Message message(batch, name_, at);
    message.set("deviceId", Value::string(message.device()))
        .set("messageId", ++messages_)
        .set("temperature", degrees)
        .set("pressure", bar)
        .set("pressure_unit", Value::string("bar"))
        .set("status", Value::string(trouble == Trouble::valve ? "fault" : "ok"))
        .stamp();
  }

 private:
  std::string name_;
  Random random_;
  double interval_seconds_;
  Walk temperature_, pressure_;
  std::int64_t messages_ = 0;
};

}  // namespace

std::unique_ptr<Fleet> process_line_fleet(const FleetPlan& plan) { return std::make_unique<FleetOf<Machine>>(plan); }

}  // namespace millrace::emulator
