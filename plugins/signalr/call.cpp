#include "plugins/signalr/call.h"

#include "plugins/signalr/connection.h"

namespace millrace::signalr {

Call::Call(Call&& other) noexcept
    : arguments(std::move(other.arguments)),
      caller_(std::move(other.caller_)),
      id_(std::move(other.id_)),
      answered_(std::exchange(other.answered_, true)) {}

Call::~Call() {
  if (!answered_) result_text({});
}

void Call::result(const nlohmann::json& value) {
  result_text(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void Call::result_text(std::string_view json) {
  if (std::exchange(answered_, true) || !id_) return;
  if (auto connection = caller()) connection->complete(*id_, json);
}

void Call::fail(std::string_view error) {
  if (std::exchange(answered_, true) || !id_) return;
  if (auto connection = caller()) connection->complete_with_error(*id_, error);
}

}  // namespace millrace::signalr
