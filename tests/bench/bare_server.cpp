// The floor of the fan-out benchmark: what the kernel takes for the sends alone. A server of WebSockets in one thread that does
// nothing else: prints its port, and sends the lines of its input to every client, those that have come together as one buffer
// with one write a client. With --flush it lets lines gather for so many milliseconds from the first on. It has no queues: a
// client that does not keep up with the kernel's buffer ends it.
//
//   bare_server --flush 10 < lines

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "bare_server: %s%s%s\n", what, errno != 0 ? ": " : "", errno != 0 ? std::strerror(errno) : "");
  std::exit(1);
}

/// A listening socket on a free port of loopback, which it prints.
int listen_anywhere() {
  int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, SOMAXCONN) != 0) fail("listen");
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return listener;
}

/// The answer to an upgrade, RFC 6455 section 4.2.2.
std::string upgraded(std::string_view request) {
  constexpr std::string_view name = "Sec-WebSocket-Key: ";
  auto at = request.find(name);
  if (at == std::string_view::npos) fail("a request without a key");
  std::string key(request.substr(at + name.size(), 24));
  key += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  EVP_Digest(key.data(), key.size(), digest.data(), &length, EVP_sha1(), nullptr);
  std::array<unsigned char, 32> base64{};
  EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(length));
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
         std::string(reinterpret_cast<const char*>(base64.data())) + "\r\n\r\n";
}

/// One client, whose request is small and has come whole when the first of it can be read.
int accept_client(int listener) {
  int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) fail("accept");
  int on = 1;
  ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::array<char, 4096> request{};
  ssize_t size = ::recv(client, request.data(), request.size(), 0);
  if (size <= 0) fail("recv");
  std::string answer = upgraded({request.data(), static_cast<std::size_t>(size)});
  if (::send(client, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) fail("send");
  ::fcntl(client, F_SETFL, O_NONBLOCK);
  return client;
}

void append_frame(std::string& to, std::string_view line) {
  to += '\x81';
  if (line.size() < 126) {
    to += static_cast<char>(line.size());
  } else {
    if (line.size() > UINT16_MAX) fail("a line of more than 64 KiB");
    to += '\x7e';
    to += static_cast<char>(line.size() >> 8U);
    to += static_cast<char>(line.size() & 0xFFU);
  }
  to += line;
}

/// What has come on standard input, as frames. False at its end.
bool read_frames(std::string& partial, std::string& frames) {
  std::array<char, 64U << 10U> buffer;
  ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (size <= 0) return false;
  partial.append(buffer.data(), static_cast<std::size_t>(size));
  std::size_t begin = 0;
  for (auto end = partial.find('\n'); end != std::string::npos; begin = end + 1, end = partial.find('\n', begin))
    append_frame(frames, std::string_view(partial).substr(begin, end - begin));
  partial.erase(0, begin);
  return true;
}

void broadcast(const std::vector<int>& clients, const std::string& frames) {
  for (int client : clients)
    if (::send(client, frames.data(), frames.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(frames.size())) fail("send");
}

void serve(int listener, std::chrono::milliseconds flush) {
  int poll = ::epoll_create1(EPOLL_CLOEXEC);
  for (int descriptor : {listener, STDIN_FILENO}) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = descriptor}};
    if (::epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("epoll_ctl");
  }
  std::vector<int> clients;
  std::string partial, frames;
  for (Clock::time_point due;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
    std::array<epoll_event, 2> events;
    int ready = ::epoll_wait(poll, events.data(), events.size(), frames.empty() ? -1 : static_cast<int>(left > 0 ? left : 0));
    if (ready < 0) fail("epoll_wait");
    for (int i = 0; i < ready; ++i) {
      if (events[static_cast<std::size_t>(i)].data.fd == listener) {
        clients.push_back(accept_client(listener));
        continue;
      }
      if (frames.empty()) due = Clock::now() + flush;
      if (!read_frames(partial, frames)) return;
    }
    if (frames.empty() || Clock::now() < due) continue;
    broadcast(clients, frames);
    frames.clear();
  }
}

}  // namespace

int main(int argc, char** argv) {
  int flush = 0;
  CLI::App app("The sends of a broadcast and nothing else");
  app.add_option("--flush", flush, "Milliseconds in which lines gather");
  CLI11_PARSE(app, argc, argv);
  serve(listen_anywhere(), std::chrono::milliseconds(flush));
}
