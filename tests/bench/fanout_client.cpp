// Many WebSocket clients in one thread, as light as can be, to measure a broadcaster by. Connects to a path that sends each
// record as a WebSocket message of its own, and keeps a number of broadcasts in flight: for each that is due it writes the line
// given as
// --command to standard output, which whoever publishes reads; a broadcast has landed when every client has it. Says on
// standard error how long they took, and with --pid how much CPU that process spent on them.
//
//   mkfifo pipe; test_hub '{"client_queue":1048576}' < pipe > answers &
//   fanout_client --port PORT --path /testhub/ws --clients 1000 --broadcasts 2000 --in-flight 16 --pid PID > pipe

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

struct Options {
  int port = 0;
  std::string path = "/testhub/ws";
  int clients = 1000;
  long broadcasts = 2000;
  long in_flight = 1;
  int pid = 0;
  std::string command = R"({"publish":[{"device":"bench","value":1,"pad":130}]})";
};

/// Counts messages in a server's byte stream: unmasked frames, none of them control frames but pings.
struct Client {
  int socket = -1;
  long messages = 0;
  std::size_t skip = 0;  ///< payload bytes still to come
  std::string header;

  void read(const char* data, std::size_t size) {
    while (size > 0) {
      std::size_t passed = std::min(skip, size);
      skip -= passed;
      data += passed;
      size -= passed;
      if (size == 0) return;
      header += *data++;
      --size;
      unsigned length = header.size() > 1 ? static_cast<unsigned char>(header[1]) : 0;
      std::size_t wanted = length == 126 ? 4 : length == 127 ? 10 : 2;
      if (header.size() < wanted) continue;
      skip = length;
      if (length >= 126) {
        skip = 0;
        for (std::size_t i = 2; i < wanted; ++i) skip = skip << 8U | static_cast<unsigned char>(header[i]);
      }
      if ((header[0] & 0x0F) == 1) ++messages;
      header.clear();
    }
  }
};

Client connect_client(const Options& options) {
  Client client;
  client.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(options.port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string request =
      "GET " + options.path +
      " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  std::string answer(1, '\0');
  bool sent = ::connect(client.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
              ::send(client.socket, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
  std::string head;
  while (sent && !head.ends_with("\r\n\r\n") && ::recv(client.socket, answer.data(), 1, 0) == 1) head += answer;
  if (!head.starts_with("HTTP/1.1 101")) {
    std::cerr << "no WebSocket at port " << options.port << ' ' << options.path << '\n';
    std::exit(1);
  }
  ::fcntl(client.socket, F_SETFL, O_NONBLOCK);
  return client;
}

/// User and system time of a process so far, in microseconds.
double cpu_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  auto after_name = text.rfind(')');
  if (after_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(after_name + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) * 1e6 / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Many WebSocket clients of one broadcaster");
  app.add_option("--port", options.port)->required();
  app.add_option("--path", options.path);
  app.add_option("--clients", options.clients);
  app.add_option("--broadcasts", options.broadcasts);
  app.add_option("--in-flight", options.in_flight);
  app.add_option("--pid", options.pid);
  app.add_option("--command", options.command);
  CLI11_PARSE(app, argc, argv);

  int poll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<Client> clients;
  for (int i = 0; i < options.clients; ++i) {
    clients.push_back(connect_client(options));
    epoll_event event{.events = EPOLLIN, .data = {.u32 = static_cast<std::uint32_t>(i)}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, clients.back().socket, &event);
  }

  std::vector<long> landed(static_cast<std::size_t>(options.broadcasts) + 1);  ///< how many clients have the n-th
  long begun = 0, done = 0;
  double cpu_before = options.pid != 0 ? cpu_of(options.pid) : 0;
  auto start = std::chrono::steady_clock::now();
  std::vector<char> buffer(256U << 10U);
  std::vector<epoll_event> events(1024);
  while (done < options.broadcasts) {
    for (; begun < options.broadcasts && begun - done < options.in_flight; ++begun) std::cout << options.command << '\n';
    std::cout.flush();
    int ready = ::epoll_wait(poll, events.data(), static_cast<int>(events.size()), 10'000);
    if (ready <= 0) {
      std::cerr << "nothing came for 10 s: " << done << " of " << begun << " broadcasts landed\n";
      return 1;
    }
    for (int i = 0; i < ready; ++i) {
      Client& client = clients[events[static_cast<std::size_t>(i)].data.u32];
      ssize_t bytes = ::recv(client.socket, buffer.data(), buffer.size(), 0);
      if (bytes <= 0) continue;
      long before = client.messages;
      client.read(buffer.data(), static_cast<std::size_t>(bytes));
      for (long n = before + 1; n <= client.messages && n <= options.broadcasts; ++n) ++landed[static_cast<std::size_t>(n)];
    }
    while (done < begun && landed[static_cast<std::size_t>(done) + 1] == options.clients) ++done;
  }
  auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double deliveries = static_cast<double>(options.broadcasts) * options.clients;
  std::fprintf(stderr, "{\"deliveries\":%.0f,\"seconds\":%.3f,\"per_second\":%.0f", deliveries, seconds, deliveries / seconds);
  if (options.pid != 0) std::fprintf(stderr, ",\"cpu_us_per_delivery\":%.3f", (cpu_of(options.pid) - cpu_before) / deliveries);
  std::fprintf(stderr, "}\n");
}
