#include "tests/support/mosquitto.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>

#include "tests/support/free_port.h"

namespace millrace::test {
namespace {

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

}  // namespace

Mosquitto::Mosquitto(const std::string& config) : port_(free_port()) {
  folder_.write("mosquitto.conf", "listener " + std::to_string(port_) + " 127.0.0.1\nlog_dest stderr\nlog_type all\n" +
                                      (geteuid() == 0 ? "user root\n" : "") +
                                      replaced(config, "{folder}", folder_.path().string()) + "\n");
  start();
}

Mosquitto::~Mosquitto() { stop(); }

void Mosquitto::start() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::string program = "/usr/sbin/mosquitto";
  std::string flag = "-c";
  std::string file = (folder_.path() / "mosquitto.conf").string();
  std::array<char*, 4> arguments{program.data(), flag.data(), file.data(), nullptr};
  int failed = posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (failed) throw std::runtime_error("cannot start " + program);
  {
    std::lock_guard lock(mutex_);
    log_.clear();
    log_ended_ = false;
  }
  reader_ = std::jthread([this, descriptor = ends[0]] { read_log(descriptor); });
  if (!wait_for_log(" running")) throw std::runtime_error("mosquitto did not start:\n" + log_);
}

void Mosquitto::stop() {
  if (process_ == 0) return;
  // A SIGTERM that comes right after it has said "running" is forgotten.
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
  process_ = 0;
  reader_ = {};
}

void Mosquitto::freeze() { kill(process_, SIGSTOP); }

bool Mosquitto::wait_for_log(const std::string& text, std::chrono::milliseconds deadline) {
  std::unique_lock lock(mutex_);
  logged_.wait_for(lock, deadline, [&] { return log_ended_ || log_.find(text) != std::string::npos; });
  return log_.find(text) != std::string::npos;
}

void Mosquitto::read_log(int descriptor) {
  std::array<char, 4096> buffer;
  for (;;) {
    ssize_t got = read(descriptor, buffer.data(), buffer.size());
    std::lock_guard lock(mutex_);
    if (got > 0) log_.append(buffer.data(), static_cast<std::size_t>(got));
    if (got <= 0) log_ended_ = true;
    logged_.notify_all();
    if (got <= 0) break;
  }
  close(descriptor);
}

}  // namespace millrace::test
