#include "plugins/signalr/call.h"

#include <cassert>

#include "plugins/signalr/connection.h"

namespace millrace::signalr {

Call::Call(std::weak_ptr<Connection> caller, Message message)
    : arguments(std::move(message.arguments)),
      caller_(std::move(caller)),
      id_(std::move(message.invocation)),
      streams_(std::move(message.streams)) {}

Call::Call(Call&& other) noexcept
    : arguments(std::move(other.arguments)),
      caller_(std::move(other.caller_)),
      id_(std::move(other.id_)),
      streams_(std::move(other.streams_)),
      cancellation_(std::move(other.cancellation_)),
      answered_(std::exchange(other.answered_, true)) {}

Call::~Call() {
  if (auto connection = to_answer()) connection->complete(*id_, nullptr);
}

/// Who is to be answered now, if anybody still is.
std::shared_ptr<Connection> Call::to_answer() {
  if (std::exchange(answered_, true) || !id_) return nullptr;
  if (cancellation_ && cancellation_->requested) return nullptr;
  auto connection = caller();
  if (connection && cancellation_) connection->streams().end(*id_);
  return connection;
}

void Call::result(const nlohmann::json& value) {
  if (auto connection = to_answer()) connection->complete(*id_, &value);
}

void Call::result_list(std::span<const Encoded> items) {
  if (auto connection = to_answer()) connection->complete(*id_, items);
}

void Call::fail(std::string_view error) {
  if (auto connection = to_answer()) connection->complete_with_error(*id_, error);
}

template <class Item>
bool Call::send_item(const Item& value) {
  assert(cancellation_ && "only a streaming method has items");
  if (answered_ || cancellation_->requested) return false;
  auto connection = caller();
  if (connection) connection->send_item(*id_, value);
  return connection && !cancellation_->requested;
}

bool Call::item(const nlohmann::json& value) { return send_item(value); }
bool Call::item(Encoded value) { return send_item(value); }

void Call::when_cancelled(std::function<void()> then) {
  assert(cancellation_ && "only a streaming method can be cancelled");
  if (cancellation_->requested) return then();
  cancellation_->then = std::move(then);
}

void Call::when_drained(std::function<void()> then) {
  if (auto connection = caller()) connection->when_drained(std::move(then));
}

void Call::receive(std::size_t index, Upload upload) {
  assert(index < streams_.size() && "the hub has compared the number of streams with the method's");
  auto connection = caller();
  if (connection && !connection->streams().receive(streams_[index], std::move(upload)))
    fail("Too many streams, or a stream id that is in use.");
}

}  // namespace millrace::signalr
