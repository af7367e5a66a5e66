#include "plugins/signalr/call.h"

#include "plugins/signalr/connection.h"

namespace millrace::signalr {

Call::Call(Call&& other) noexcept
    : arguments(std::move(other.arguments)),
      caller_(std::move(other.caller_)),
      id_(std::move(other.id_)),
      answered_(std::exchange(other.answered_, true)) {}

Call::~Call() {
  if (auto connection = to_answer()) connection->complete(*id_, nullptr);
}

/// Who is to be answered now, if anybody still is.
std::shared_ptr<Connection> Call::to_answer() {
  if (std::exchange(answered_, true) || !id_) return nullptr;
  return caller();
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

}  // namespace millrace::signalr
