#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace millrace::test {

struct ReceivedRequest {
  std::string method, path;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

struct ScriptedResponse {
  int status = 200;
  std::vector<std::string> headers;  ///< "Name: value"
  std::string body;
  bool hang_up = false;  ///< close the connection instead of answering
};

/// A small real HTTP/1.1 server on 127.0.0.1, on a free port: keeps every request, answers as the test says, one connection
/// after the other.
class HttpReceiver {
 public:
  using Request = ReceivedRequest;
  using Response = ScriptedResponse;

  /// Called on the server's thread with the request and how many came before it.
  using Answer = std::function<Response(const Request&, std::size_t)>;

  explicit HttpReceiver(Answer answer = [](const Request&, std::size_t) { return Response{}; });
  ~HttpReceiver();
  HttpReceiver(const HttpReceiver&) = delete;
  HttpReceiver& operator=(const HttpReceiver&) = delete;

  int port() const { return port_; }
  std::string url(const std::string& path = "/") const { return "http://127.0.0.1:" + std::to_string(port_) + path; }

  std::vector<Request> requests() const;

  /// Waits until so many requests have come, or the deadline has passed (false).
  bool wait_for(std::size_t count, std::chrono::milliseconds deadline = std::chrono::seconds(10)) const;

 private:
  void run();
  void serve(int connection);
  bool wait_readable(int fd) const;

  Answer answer_;
  int listener_ = -1;
  int stop_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable came_;
  std::vector<Request> requests_;
  std::jthread thread_;
};

}  // namespace millrace::test
