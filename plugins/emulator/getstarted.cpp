#include "plugins/emulator/devkit.h"
#include "plugins/emulator/fleet.h"

namespace millrace::emulator {
namespace {

Value axes_object(Arena& arena, const Axes& axes) {
  Field* fields = arena.allocate<Field>(3);
  fields[0] = {"x", Value::integer(axes.x)};
  fields[1] = {"y", Value::integer(axes.y)};
  fields[2] = {"z", Value::integer(axes.z)};
  return Value::object({fields, 3});
}

/// The board with the sample firmware of its first tutorial, and with its other sensors, which that firmware leaves out.
class Board {
 public:
  Board(std::uint64_t seed, std::uint32_t number, Duration interval) : board_(seed, number, interval) {}

  /// In an episode somebody breathes on the sensor.
  void append(Batch& batch, Time at, const std::optional<Episode>& episode) {
    Reading reading = board_.next(episode ? episode->amplitude : 0.0);
    Message message(batch, board_.name(), at);
    Arena& arena = message.arena();
    message.set("deviceId", Value::string(message.device()))
        .set("messageId", reading.message)
        .set("temperature", reading.temperature)
        .set("humidity", reading.humidity)
        .set("pressure", reading.pressure)
        .set("accelerometer", axes_object(arena, reading.accelerometer))
        .set("gyroscope", axes_object(arena, reading.gyroscope))
        .set("magnetometer", axes_object(arena, reading.magnetometer))
        .stamp();
  }

 private:
  DevKit board_;
};

}  // namespace

std::unique_ptr<Fleet> getstarted_fleet(const FleetPlan& plan) { return std::make_unique<FleetOf<Board>>(plan); }

}  // namespace millrace::emulator
