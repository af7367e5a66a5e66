#include "plugins/signalr/messages.h"

#include <string>

#include "runner/stage/json.h"

namespace millrace::signalr {
namespace {

void append_message(Batch& batch, std::string_view target, const Value& argument) {
  Arena& arena = batch.arena();
  Value* arguments = arena.allocate<Value>(1);
  arguments[0] = argument;
  Record& record = batch.append();
  record.fields.push(arena, "target", Value::string(arena.copy(target)));
  record.fields.push(arena, "arguments", Value::list({arguments, 1}));
}

}  // namespace

Result<Batch> messages_of(const Publication& publication) {
  Batch batch;
  JsonDecoder decoder;
  auto decoded = [&](std::string_view json) { return decoder.decode_value(json, batch.arena()); };
  std::string telemetry;
  const std::string* target = nullptr;
  for (const Publication::Item& item : publication.items()) {
    if (!item.telemetry) continue;
    target = &publication.target(item);
    telemetry.append(telemetry.empty() ? "[" : ",").append(publication.record(item).json);
  }
  if (target) {
    auto records = decoded(telemetry += ']');
    if (!records) return records.error();
    append_message(batch, *target, *records);
  }
  for (const Publication::Item& item : publication.items()) {
    if (item.telemetry) continue;
    auto event = decoded(publication.record(item).json);
    if (!event) return event.error();
    append_message(batch, publication.target(item), *event);
  }
  return batch;
}

}  // namespace millrace::signalr
