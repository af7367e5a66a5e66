#include "plugins/emulator/fleet.h"

namespace millrace::emulator {

Script script_of(const Anomaly& anomaly, Profile profile) {
  bool board = profile == Profile::getstarted;
  Script script;
  script.every = anomaly.every.value_or(board ? Duration(20s) : Duration(2min));
  script.length = anomaly.length.value_or(std::min<Duration>(board ? 5s : 90s, script.every));
  script.amplitude = anomaly.amplitude;
  return script;
}

std::unique_ptr<Fleet> make_fleet(Profile profile, const FleetPlan& plan) {
  switch (profile) {
    case Profile::getstarted: return getstarted_fleet(plan);
    case Profile::vehicle: return vehicle_fleet(plan);
    case Profile::process_line: return process_line_fleet(plan);
    case Profile::drilling_rig: return drilling_rig_fleet(plan);
    case Profile::shop: return shop_fleet(plan);
  }
  return nullptr;
}

Message::Message(Batch& batch, const std::string& device, Time at) : arena_(batch.arena()), record_(batch.append()) {
  record_.device = arena_.copy(device);
  record_.time = at;
  record_.arrival = at;
  record_.fields.reserve(arena_, 9);
}

Message& Message::set(std::string_view name, Value value) {
  record_.fields.push(arena_, name, value);
  return *this;
}

void Message::stamp() {
  auto us = record_.time.time_since_epoch().count();
  set("ts", us % 1000 == 0 ? Value::integer(us / 1000) : Value::real(to_millis(record_.time)));
}

}  // namespace millrace::emulator
