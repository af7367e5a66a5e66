#include "tests/support/http_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <string_view>

namespace millrace::test {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// Takes the request apart; false while it is not whole.
bool parse(std::string_view text, HttpReceiver::Request& request) {
  std::size_t head = text.find("\r\n\r\n");
  if (head == std::string_view::npos) return false;
  std::string_view lines = text.substr(0, head + 2);
  std::size_t end = lines.find("\r\n");
  std::string_view first = lines.substr(0, end);
  request.method = first.substr(0, first.find(' '));
  first.remove_prefix(std::min(first.size(), request.method.size() + 1));
  request.path = first.substr(0, first.find(' '));
  for (lines.remove_prefix(end + 2); !lines.empty(); lines.remove_prefix(end + 2)) {
    end = lines.find("\r\n");
    std::string_view line = lines.substr(0, end);
    std::size_t colon = std::min(line.find(':'), line.size());
    std::size_t value = line.find_first_not_of(' ', std::min(colon + 1, line.size()));
    request.headers[lower(line.substr(0, colon))] = value == std::string_view::npos ? "" : line.substr(value);
  }
  std::size_t length = request.headers.contains("content-length") ? std::stoul(request.headers["content-length"]) : 0;
  request.body = text.substr(head + 4);
  return request.body.size() >= length;
}

}  // namespace

HttpReceiver::HttpReceiver(Answer answer) : answer_(std::move(answer)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, any, size) != 0 || ::listen(listener_, 64) != 0 || ::getsockname(listener_, any, &size) != 0)
    throw std::runtime_error("the test's HTTP receiver cannot listen");
  port_ = ntohs(address.sin_port);
  thread_ = std::jthread([this] { run(); });
}

HttpReceiver::~HttpReceiver() {
  ::eventfd_write(stop_, 1);
  thread_.join();
  ::close(listener_);
  ::close(stop_);
}

std::vector<HttpReceiver::Request> HttpReceiver::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

bool HttpReceiver::wait_for(std::size_t count, std::chrono::milliseconds deadline) const {
  std::unique_lock lock(mutex_);
  return came_.wait_for(lock, deadline, [&] { return requests_.size() >= count; });
}

bool HttpReceiver::wait_readable(int fd) const {
  pollfd fds[] = {{fd, POLLIN, 0}, {stop_, POLLIN, 0}};
  return ::poll(fds, 2, -1) > 0 && fds[1].revents == 0;
}

void HttpReceiver::run() {
  while (wait_readable(listener_)) {
    int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    serve(connection);
    ::close(connection);
  }
}

void HttpReceiver::serve(int connection) {
  std::string text;
  Request request;
  do {
    char buffer[8192];
    if (!wait_readable(connection)) return;
    ssize_t got = ::recv(connection, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    text.append(buffer, static_cast<std::size_t>(got));
  } while (!parse(text, request = {}));

  Response response = answer_(request, requests().size());
  {
    // Before the answer, so that whoever has it finds the request here.
    std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
    came_.notify_all();
  }
  if (response.hang_up) return;
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " Answer\r\nConnection: close\r\n";
  for (const std::string& header : response.headers) out += header + "\r\n";
  out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n\r\n" + response.body;
  for (std::string_view left = out; !left.empty();) {
    ssize_t sent = ::send(connection, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
}

}  // namespace millrace::test
