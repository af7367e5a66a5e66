#include "plugins/emulator/profile.h"

namespace millrace::emulator {
namespace {

Value axes_object(Arena& arena, const Axes& axes) {
  Field* fields = arena.allocate<Field>(3);
  fields[0] = {"x", Value::integer(axes.x)};
  fields[1] = {"y", Value::integer(axes.y)};
  fields[2] = {"z", Value::integer(axes.z)};
  return Value::object({fields, 3});
}

Value millis(Time time) {
  auto us = time.time_since_epoch().count();
  return us % 1000 == 0 ? Value::integer(us / 1000) : Value::real(to_millis(time));
}

void getstarted(Record& record, Arena& arena, const Reading& reading) {
  record.fields.reserve(arena, 9);
  record.fields.push(arena, "deviceId", Value::string(record.device));
  record.fields.push(arena, "messageId", Value::integer(reading.message));
  record.fields.push(arena, "temperature", Value::real(reading.temperature));
  record.fields.push(arena, "humidity", Value::real(reading.humidity));
  record.fields.push(arena, "pressure", Value::real(reading.pressure));
  record.fields.push(arena, "accelerometer", axes_object(arena, reading.accelerometer));
  record.fields.push(arena, "gyroscope", axes_object(arena, reading.gyroscope));
  record.fields.push(arena, "magnetometer", axes_object(arena, reading.magnetometer));
  record.fields.push(arena, "ts", millis(record.time));
}

}  // namespace

void append_message(Batch& batch, Profile profile, const DevKit& device, const Reading& reading, Time time) {
  Arena& arena = batch.arena();
  Record& record = batch.append();
  record.device = arena.copy(device.name());
  record.time = time;
  record.arrival = time;
  switch (profile) {
    case Profile::getstarted: getstarted(record, arena, reading); break;
  }
}

}  // namespace millrace::emulator
