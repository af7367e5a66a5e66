#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "tests/support/temp_folder.h"

namespace millrace::test {

/// A Mosquitto broker on 127.0.0.1 and a port of its own, running as long as the object lives. Without persistence: what it has
/// not delivered is gone when it stops.
class Mosquitto {
 public:
  /// `config` is added to its configuration; without it anybody may connect. In it, `{folder}` stands for its folder.
  explicit Mosquitto(const std::string& config = "allow_anonymous true");
  ~Mosquitto();
  Mosquitto(const Mosquitto&) = delete;
  Mosquitto& operator=(const Mosquitto&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url(const std::string& scheme = "mqtt") const { return scheme + "://127.0.0.1:" + std::to_string(port_); }
  const TempFolder& folder() const { return folder_; }

  /// On the same port again. start() returns when the broker accepts connections.
  void stop();
  void start();

  /// Makes the broker stand still, its connections open, until it is stopped.
  void freeze();

  /// Waits until the broker has logged `text` since the last start; false if it has not by the deadline.
  bool wait_for_log(const std::string& text, std::chrono::milliseconds deadline = std::chrono::seconds(60));

 private:
  void read_log(int descriptor);

  TempFolder folder_;
  std::uint16_t port_ = 0;
  pid_t process_ = 0;
  std::mutex mutex_;
  std::condition_variable logged_;
  std::string log_;
  bool log_ended_ = false;
  std::jthread reader_;
};

}  // namespace millrace::test
