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

/// All clients, and the epoll that says which of them have something to read, by their place.
struct Crowd {
  int poll = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<Client> clients;

  explicit Crowd(const Options& options) {
    for (int i = 0; i < options.clients; ++i) clients.push_back(connect_client(options));
    for (std::size_t i = 0; i < clients.size(); ++i) {
      finish_upgrade(clients[i], options);
      epoll_event event{.events = EPOLLIN, .data = {.u32 = static_cast<std::uint32_t>(i)}};
      ::epoll_ctl(poll, EPOLL_CTL_ADD, clients[i].socket, &event);
    }
    if (!options.hello.empty()) ::sleep(3);  // nobody says when the last subscription is known
  }
};

/// Broadcasts that are begun, and land once every client of the crowd has them.
class Broadcasts {
 public:
  Broadcasts(const Options& options, Crowd& crowd)
      : options_(options),
        crowd_(crowd),
        most_(options.broadcasts),
        landed_(static_cast<std::size_t>(most_) + 1),
        began_(static_cast<std::size_t>(most_) + 1) {}

  /// Until all have landed; false if that comes to nothing, of which it has told.
  bool run() {
    while (done_ < most()) {
      begin();
      bool paced = options_.rate > 0 && begun_ < most_;
      int ready = ::epoll_wait(crowd_.poll, events_.data(), static_cast<int>(events_.size()), paced ? 1 : 10'000);
      if (ready == 0 && paced) continue;
      // Pings come even when messages do not.
      if (ready <= 0 || Clock::now() - last_landed_ > std::chrono::seconds(10)) {
        std::cerr << "nothing came for 10 s: " << done_ << " of " << begun_ << " broadcasts landed\n";
        return false;
      }
      auto now = Clock::now();
      for (int i = 0; i < ready; ++i)
        if (!read(now, crowd_.clients[events_[static_cast<std::size_t>(i)].data.u32])) return false;
      while (done_ < begun_ && landed_[static_cast<std::size_t>(done_) + 1] == options_.clients) ++done_;
    }
    took_ = seconds_since(start_);
    return true;
  }

  /// Says what they cost.
  void report(double cpu_us, double memory) {
    double deliveries = static_cast<double>(most_) * options_.clients;
    std::fprintf(stderr, "{\"deliveries\":%.0f,\"seconds\":%.3f,\"per_second\":%.0f", deliveries, took_, deliveries / took_);
    std::fprintf(stderr, ",\"median_ms\":%.2f", quantile(latencies_, 0.5));
    std::fprintf(stderr, ",\"p99_ms\":%.2f", quantile(latencies_, 0.99));
    if (options_.pid != 0)
      std::fprintf(stderr, ",\"cpu_us_per_delivery\":%.3f,\"kib_per_connection\":%.2f", cpu_us / deliveries, memory);
    std::fprintf(stderr, "}\n");
  }

 private:
  using Clock = std::chrono::steady_clock;

  static double seconds_since(Clock::time_point then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

  /// How many there are to be: once the time is over, no more than have begun.
  long most() {
    if (options_.seconds > 0 && seconds_since(start_) > options_.seconds) most_ = std::max(begun_, 1L);
    return most_;
  }

  bool due() const {
    if (begun_ == most_) return false;
    if (options_.rate == 0) return begun_ - done_ < options_.in_flight;
    return static_cast<double>(begun_) < seconds_since(start_) * options_.rate;
  }

  void begin() {
    for (; due(); ++begun_) {
      std::cout << options_.command << '\n';
      began_[static_cast<std::size_t>(begun_) + 1] = Clock::now();
    }
    std::cout.flush();
  }

  bool read(Clock::time_point now, Client& client) {
    ssize_t bytes = ::recv(client.socket, buffer_.data(), buffer_.size(), 0);
    if (bytes == 0) std::cerr << "the server has closed a connection\n";
    if (bytes <= 0) return bytes < 0;
    long before = client.messages;
    client.read(buffer_.data(), static_cast<std::size_t>(bytes), options_.marker);
    for (long n = before + 1; n <= client.messages && n <= most_; ++n) {
      ++landed_[static_cast<std::size_t>(n)];
      last_landed_ = now;
      if (++delivered_ % 100 == 0) latencies_.push_back(seconds_since(began_[static_cast<std::size_t>(n)]) * 1000);
    }
    return true;
  }

  const Options& options_;
  Crowd& crowd_;
  long most_, begun_ = 0, done_ = 0;
  std::vector<long> landed_;              ///< how many clients have the n-th
  std::vector<Clock::time_point> began_;  ///< the n-th
  std::vector<double> latencies_;         ///< ms, of each hundredth delivery
  long delivered_ = 0;
  Clock::time_point start_ = Clock::now(), last_landed_ = start_;
  double took_ = 0;
  std::vector<char> buffer_ = std::vector<char>(256U << 10U);
  std::vector<epoll_event> events_ = std::vector<epoll_event>(1024);
};

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
  Crowd crowd(options);
  double memory = options.pid != 0 ? static_cast<double>(resident_of(options.pid) - resident) / options.clients : 0;
  if (options.idle) {
    std::fprintf(stderr, "{\"clients\":%d,\"kib_per_connection\":%.2f}\n", options.clients, memory);
    std::cin.ignore(std::numeric_limits<std::streamsize>::max());
    return 0;
  }

  double cpu = options.pid != 0 ? cpu_of(options.pid) : 0;
  Broadcasts broadcasts(options, crowd);
  if (!broadcasts.run()) return 1;
  broadcasts.report(options.pid != 0 ? cpu_of(options.pid) - cpu : 0, memory);
}
