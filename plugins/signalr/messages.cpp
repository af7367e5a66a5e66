#include "plugins/signalr/messages.h"

#include <span>
#include <string>
#include <vector>

#include "runner/stage/json.h"

namespace millrace::signalr {
namespace {

/// Makes records of messages.
class Messages {
 public:
  Result<void> add(std::string_view target, Shape shape, std::span<const std::string_view> records) {
    bool together = shape == Shape::list || shape == Shape::list_text;
    bool as_text = shape == Shape::text || shape == Shape::list_text;
    std::string text;
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (together) text += text.empty() ? "[" : ",";
      text += records[i];
      if (together && i + 1 < records.size()) continue;
      if (together) text += ']';
      auto argument =
          as_text ? Result<Value>(Value::string(batch_.arena().copy(text))) : decoder_.decode_value(text, batch_.arena());
      if (!argument) return argument.error();
      Value* arguments = batch_.arena().allocate<Value>(1);
      arguments[0] = *argument;
      append(target, Value::list({arguments, 1}));
      text.clear();
    }
    return {};
  }

  Result<void> add(const Directed& directed) {
    if (directed.action != Directed::Action::send) return {};
    auto arguments = decoder_.decode_value(directed.arguments.dump(), batch_.arena());
    if (!arguments) return arguments.error();
    append(directed.target, *arguments);
    return {};
  }

  Batch take() { return std::move(batch_); }

 private:
  void append(std::string_view target, const Value& arguments) {
    Arena& arena = batch_.arena();
    Record& record = batch_.append();
    record.fields.push(arena, "target", Value::string(arena.copy(target)));
    record.fields.push(arena, "arguments", arguments);
  }

  Batch batch_;
  JsonDecoder decoder_;
};

}  // namespace

Result<Batch> messages_of(const Publication& publication) {
  Messages messages;
  std::vector<std::string_view> telemetry;
  const Channel* channel = nullptr;
  for (const Publication::Item& item : publication.items()) {
    if (!item.telemetry) continue;
    channel = &publication.channel(item);
    telemetry.push_back(publication.record(item).json);
  }
  if (channel) {
    if (auto added = messages.add(channel->target, channel->shape, telemetry); !added) return added.error();
  }
  for (const Publication::Item& item : publication.items()) {
    if (item.telemetry) continue;
    const Channel& to = publication.channel(item);
    std::string_view json = publication.record(item).json;
    Shape shape = to.shape == Shape::list ? Shape::object : to.shape;
    if (auto added = messages.add(to.target, shape, std::span(&json, 1)); !added) return added.error();
  }
  for (const Directed& directed : publication.messages())
    if (auto added = messages.add(directed); !added) return added.error();
  return messages.take();
}

}  // namespace millrace::signalr
