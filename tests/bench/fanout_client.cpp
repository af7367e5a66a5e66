// Many WebSocket clients in one thread, as light as can be, to measure a broadcaster by. They count a character that each
// message has once, however the server frames its messages, and keep a number of broadcasts in flight, or with --rate begin so
// many a second: for each that is due the line given as --command goes to standard output, which whoever publishes reads; a
// broadcast has landed when every client has it. Says on standard error how long they took, and with --pid how much CPU that
// process spent on them and what memory a connection cost it. After --seconds it begins no more broadcasts, and says what
// those cost that have landed. It ends with status 1 when nothing has landed for 10 s. With --idle it only connects, says what
// a connection cost, and waits for the end of its input.
//
//   mkfifo pipe; test_hub '{"client_queue":1048576}' < pipe > answers &
//   fanout_client --port PORT --path /testhub/ws --clients 1000 --broadcasts 2000 --in-flight 16 --pid PID > pipe

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>
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
  double seconds = 0;  ///< after which no broadcast is begun any more; 0: no such limit
  double rate = 0;     ///< broadcasts a second, whatever is in flight; 0: as many as --in-flight lets
  int pid = 0;
  bool idle = false;
  char marker = '\n';    ///< once in each message
  std::string protocol;  ///< Sec-WebSocket-Protocol
  std::string hello;     ///< hexadecimal: sent as one binary message after the upgrade
  std::string command = R"({"publish":[{"device":"bench","value":1,"pad":130}]})";
};

/// Counts messages in a server's byte stream of unmasked frames.
struct Client {
  int socket = -1;
  long messages = 0;
  std::size_t skip = 0;  ///< payload bytes still to come
  std::string header;

  void read(const char* data, std::size_t size, char marker) {
    while (size > 0) {
      std::size_t passed = std::min(skip, size);
      messages += std::count(data, data + passed, marker);
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
      header.clear();
    }
  }
};

/// A client's binary frame with a mask of zeros; `hexadecimal` stands for up to 125 bytes.
std::string masked(const std::string& hexadecimal) {
  std::string frame("\x82\x80\0\0\0\0", 6);
  frame[1] = static_cast<char>(0x80U | hexadecimal.size() / 2);
  for (std::size_t i = 0; i + 1 < hexadecimal.size(); i += 2)
    frame += static_cast<char>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16));
  return frame;
}

/// Connects and asks for the upgrade.
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
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      (options.protocol.empty() ? "" : "Sec-WebSocket-Protocol: " + options.protocol + "\r\n") + "\r\n";
  bool sent = ::connect(client.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
              ::send(client.socket, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size());
  if (!sent) client.socket = -1;
  timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(client.socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return client;
}

/// Reads the answer to the upgrade, and says what the server wants to hear. All have asked before, as some servers answer one a
/// turn.
void finish_upgrade(Client& client, const Options& options) {
  std::string head, answer(1, '\0');
  while (client.socket >= 0 && !head.ends_with("\r\n\r\n") && ::recv(client.socket, answer.data(), 1, 0) == 1) head += answer;
  if (!head.starts_with("HTTP/1.1 101")) {
    std::cerr << "no WebSocket at port " << options.port << ' ' << options.path << '\n';
    std::exit(1);
  }
  if (!options.hello.empty()) {
    std::string frame = masked(options.hello);
    ::send(client.socket, frame.data(), frame.size(), MSG_NOSIGNAL);
  }
  ::fcntl(client.socket, F_SETFL, O_NONBLOCK);
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

/// Resident memory of a process, in KiB.
long resident_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  long pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * (::sysconf(_SC_PAGESIZE) / 1024);
}

double quantile(std::vector<double>& values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
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
  app.add_option("--rate", options.rate);
  app.add_option("--seconds", options.seconds);
  app.add_option("--pid", options.pid);
  app.add_flag("--idle", options.idle);
  app.add_option("--marker", options.marker);
  app.add_option("--protocol", options.protocol);
  app.add_option("--hello", options.hello);
  app.add_option("--command", options.command);
  CLI11_PARSE(app, argc, argv);

  long resident = options.pid != 0 ? resident_of(options.pid) : 0;
  int poll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<Client> clients;
  for (int i = 0; i < options.clients; ++i) {
    clients.push_back(connect_client(options));
  }
  for (int i = 0; i < options.clients; ++i) {
    Client& client = clients[static_cast<std::size_t>(i)];
    finish_upgrade(client, options);
    epoll_event event{.events = EPOLLIN, .data = {.u32 = static_cast<std::uint32_t>(i)}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, client.socket, &event);
  }

  if (!options.hello.empty()) ::sleep(3);  // nobody says when the last subscription is known
  double memory = options.pid != 0 ? static_cast<double>(resident_of(options.pid) - resident) / options.clients : 0;
  if (options.idle) {
    std::fprintf(stderr, "{\"clients\":%d,\"kib_per_connection\":%.2f}\n", options.clients, memory);
    std::cin.ignore(std::numeric_limits<std::streamsize>::max());
    return 0;
  }

  std::vector<long> landed(static_cast<std::size_t>(options.broadcasts) + 1);  ///< how many clients have the n-th
  long begun = 0, done = 0;
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> began(static_cast<std::size_t>(options.broadcasts) + 1);
  std::vector<double> latencies;  ///< ms, of each hundredth delivery
  long delivered = 0;
  double cpu_before = options.pid != 0 ? cpu_of(options.pid) : 0;
  auto start = Clock::now();
  std::vector<char> buffer(256U << 10U);
  std::vector<epoll_event> events(1024);
  auto last_landed = start;
  auto wanted = [&] {
    bool late = options.seconds > 0 && std::chrono::duration<double>(Clock::now() - start).count() > options.seconds;
    if (late) options.broadcasts = std::max(begun, 1L);
    return options.broadcasts;
  };
  while (done < wanted()) {
    auto due = [&] {
      if (begun == options.broadcasts) return false;
      if (options.rate == 0) return begun - done < options.in_flight;
      return static_cast<double>(begun) < std::chrono::duration<double>(Clock::now() - start).count() * options.rate;
    };
    for (; due(); ++begun) {
      std::cout << options.command << '\n';
      began[static_cast<std::size_t>(begun) + 1] = Clock::now();
    }
    std::cout.flush();
    bool paced = options.rate > 0 && begun < options.broadcasts;
    int ready = ::epoll_wait(poll, events.data(), static_cast<int>(events.size()), paced ? 1 : 10'000);
    if (ready == 0 && paced) continue;
    // Pings come even when messages do not.
    if (ready <= 0 || Clock::now() - last_landed > std::chrono::seconds(10)) {
      std::cerr << "nothing came for 10 s: " << done << " of " << begun << " broadcasts landed\n";
      return 1;
    }
    auto now = Clock::now();
    for (int i = 0; i < ready; ++i) {
      Client& client = clients[events[static_cast<std::size_t>(i)].data.u32];
      ssize_t bytes = ::recv(client.socket, buffer.data(), buffer.size(), 0);
      if (bytes == 0) {
        std::cerr << "the server has closed a connection\n";
        return 1;
      }
      if (bytes < 0) continue;
      long before = client.messages;
      client.read(buffer.data(), static_cast<std::size_t>(bytes), options.marker);
      for (long n = before + 1; n <= client.messages && n <= options.broadcasts; ++n) {
        ++landed[static_cast<std::size_t>(n)];
        last_landed = now;
        if (++delivered % 100 == 0)
          latencies.push_back(
              std::chrono::duration<double, std::milli>(Clock::now() - began[static_cast<std::size_t>(n)]).count());
      }
    }
    while (done < begun && landed[static_cast<std::size_t>(done) + 1] == options.clients) ++done;
  }
  auto seconds = std::chrono::duration<double>(Clock::now() - start).count();
  double deliveries = static_cast<double>(options.broadcasts) * options.clients;
  std::fprintf(stderr, "{\"deliveries\":%.0f,\"seconds\":%.3f,\"per_second\":%.0f", deliveries, seconds, deliveries / seconds);
  std::fprintf(stderr, ",\"median_ms\":%.2f", quantile(latencies, 0.5));
  std::fprintf(stderr, ",\"p99_ms\":%.2f", quantile(latencies, 0.99));
  if (options.pid != 0)
    std::fprintf(stderr, ",\"cpu_us_per_delivery\":%.3f,\"kib_per_connection\":%.2f",
                 (cpu_of(options.pid) - cpu_before) / deliveries, memory);
  std::fprintf(stderr, "}\n");
}
