#include "runner/api/reply.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace millrace::api {

http::Response json_response(const Json& json, int status) {
  return {.status = status,
          .content_type = "application/json",
          .body = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n",
          .headers = {{"Cache-Control", "no-store"}}};
}

http::Response error_response(int status, std::string_view what) { return json_response({{"error", what}}, status); }

std::shared_ptr<Reply> Reply::owe(std::shared_ptr<http::Loop> loop, http::Exchange exchange,
                                  std::chrono::milliseconds patience) {
  auto reply = std::make_shared<Reply>(std::move(loop));
  reply->owed_ = std::make_shared<Owed>(Owed{std::move(exchange), {}});
  reply->owed_->deadline = reply->loop_->after(patience, [weak = std::weak_ptr(reply)] {
    if (auto late = weak.lock()) late->send(error_response(504, "not done in time; it may still be done"));
  });
  return reply;
}

Reply::~Reply() {
  if (owed_) loop_->post([owed = std::move(owed_)] {});
}

void Reply::send(http::Response response) {
  loop_->post([self = shared_from_this(), response = std::move(response)]() mutable {
    if (auto owed = std::exchange(self->owed_, nullptr)) owed->exchange.respond(std::move(response));
  });
}

}  // namespace millrace::api
