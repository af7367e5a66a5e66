#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "runner/api/alert_json.h"
#include "runner/http/routes.h"

namespace millrace::api {

/// `{"error": TEXT}`.
http::Response error_response(int status, std::string_view what);

http::Response json_response(const Json& json, int status = 200);

/// The answer that a request is owed, from whichever thread it comes; the first one counts. Without any in time it is 504.
class Reply : public std::enable_shared_from_this<Reply> {
 public:
  /// On the loop's thread.
  static std::shared_ptr<Reply> owe(std::shared_ptr<http::Loop> loop, http::Exchange exchange,
                                    std::chrono::milliseconds patience);

  explicit Reply(std::shared_ptr<http::Loop> loop) : loop_(std::move(loop)) {}
  ~Reply();
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  /// Any thread.
  void send(http::Response response);

 private:
  /// What belongs to the loop's thread alone.
  struct Owed {
    http::Exchange exchange;
    http::Timer deadline;
  };

  const std::shared_ptr<http::Loop> loop_;
  std::shared_ptr<Owed> owed_;
};

}  // namespace millrace::api
