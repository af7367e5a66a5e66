#include "tests/support/socket_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace millrace::test {

SocketClient::SocketClient(std::uint16_t port, int receive_buffer) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (receive_buffer > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(socket_);
    throw std::runtime_error("cannot connect to port " + std::to_string(port));
  }
}

SocketClient::SocketClient(SocketClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), received_(std::move(other.received_)) {}

SocketClient::~SocketClient() {
  if (socket_ >= 0) ::close(socket_);
}

void SocketClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;  // the server has closed: the test reads that
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

void SocketClient::reset() {
  linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(socket_, -1));
}

void SocketClient::end_writing() { ::shutdown(socket_, SHUT_WR); }

SocketClient::Read SocketClient::read_some() {
  pollfd waiting{socket_, POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(deadline_).count())) <= 0) return Read::late;
  char buffer[16384];
  ssize_t bytes = ::recv(socket_, buffer, sizeof buffer, 0);
  if (bytes <= 0) return Read::end;
  received_.append(buffer, static_cast<std::size_t>(bytes));
  return Read::some;
}

bool SocketClient::read_until(std::string_view text) {
  std::size_t searched = 0;
  while (received_.find(text, searched > text.size() ? searched - text.size() : 0) == std::string::npos) {
    searched = received_.size();
    if (read_some() != Read::some) return false;
  }
  return true;
}

bool SocketClient::read_bytes(std::size_t bytes) {
  while (received_.size() < bytes)
    if (read_some() != Read::some) return false;
  return true;
}

bool SocketClient::read_to_end() {
  while (true) {
    Read read = read_some();
    if (read != Read::some) return read == Read::end;
  }
}

std::string http_exchange(std::uint16_t port, std::string_view request) {
  SocketClient client(port);
  client.send(request);
  client.read_to_end();
  return client.received();
}

std::string http_get(std::string_view path, std::string_view headers) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(headers) + "Connection: close\r\n\r\n";
}

int status_of(std::string_view answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::atoi(std::string(answer.substr(9, 3)).c_str()) : 0;
}

std::string body_of(std::string_view answer) {
  auto end = answer.find("\r\n\r\n");
  return end == std::string_view::npos ? std::string() : std::string(answer.substr(end + 4));
}

std::string client_frame(std::uint8_t first, std::string_view payload) {
  const char mask[4] = {0x11, 0x22, 0x33, 0x44};
  std::string frame(1, static_cast<char>(first));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80U | payload.size());
  } else {
    bool wide = payload.size() > 0xFFFF;
    frame += static_cast<char>(wide ? 0xFF : 0xFE);
    for (int shift = wide ? 56 : 8; shift >= 0; shift -= 8) frame += static_cast<char>(payload.size() >> shift & 0xFFU);
  }
  frame.append(mask, sizeof mask);
  for (std::size_t i = 0; i < payload.size(); ++i) frame += static_cast<char>(payload[i] ^ mask[i % 4]);
  return frame;
}

}  // namespace millrace::test
