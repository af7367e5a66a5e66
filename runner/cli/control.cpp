#include "runner/cli/control.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

namespace millrace::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t longest_line = 1U << 20U;
constexpr auto patience = std::chrono::seconds(5);  // with a client that says nothing, as others wait behind it

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }
  explicit operator bool() const { return value_ >= 0; }

 private:
  int value_;
};

Error cannot(const std::filesystem::path& socket, std::string_view what) {
  return unavailable(fmt::format("{}: {}: {}", socket.string(), what, std::strerror(errno)));
}

// A socket's name holds 107 bytes only; by way of the open folder it is short, however deep that lies.
struct Address {
  Descriptor folder;
  sockaddr_un name{};
};

std::optional<Address> address_of(const std::filesystem::path& socket) {
  Address address;
  address.folder =
      Descriptor(::open(socket.parent_path().empty() ? "." : socket.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!address.folder) return std::nullopt;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", address.folder.get(), socket.filename().string());
  if (path.size() >= sizeof address.name.sun_path) {
    errno = ENAMETOOLONG;
    return std::nullopt;
  }
  address.name.sun_family = AF_UNIX;
  std::memcpy(address.name.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// Waits until `file` is ready for `events`; false if `stop` is, or time is up.
bool wait_for(int file, short events, int stop, SteadyClock::time_point deadline) {
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    if (left < 0) return false;
    pollfd both[] = {{file, events, 0}, {stop, POLLIN, 0}};
    int ready = ::poll(both, 2, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0 && both[1].revents == 0;
  }
}

// The next line, without its end; `buffer` keeps what follows it.
std::optional<std::string> read_line(int file, std::string& buffer, int stop, SteadyClock::time_point deadline) {
  for (;;) {
    if (auto end = buffer.find('\n'); end != std::string::npos) {
      std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return line;
    }
    if (buffer.size() > longest_line || !wait_for(file, POLLIN, stop, deadline)) return std::nullopt;
    char part[4096];
    ssize_t size = ::recv(file, part, sizeof part, 0);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) return std::nullopt;
    buffer.append(part, static_cast<std::size_t>(size));
  }
}

bool write_line(int file, std::string line, int stop, SteadyClock::time_point deadline) {
  line += '\n';
  for (std::string_view rest = line; !rest.empty();) {
    ssize_t size = ::send(file, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(size));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN || !wait_for(file, POLLOUT, stop, deadline)) return false;
  }
  return true;
}

}  // namespace

struct ControlServer::Impl {
  Descriptor listener, stop;
  std::filesystem::path socket;
  Handler handler;
  std::jthread thread;

  void run() {
    for (;;) {
      pollfd both[] = {{listener.get(), POLLIN, 0}, {stop.get(), POLLIN, 0}};
      if (::poll(both, 2, -1) < 0 && errno != EINTR) return;
      if (both[1].revents != 0) return;
      Descriptor client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client) answer(client.get());
    }
  }

  void answer(int client) {
    std::string buffer;
    while (auto request = read_line(client, buffer, stop.get(), SteadyClock::now() + patience))
      if (!write_line(client, handler(*request), stop.get(), SteadyClock::now() + patience)) return;
  }
};

Result<std::unique_ptr<ControlServer>> ControlServer::serve(const std::filesystem::path& socket, Handler handler) {
  auto impl = std::make_unique<Impl>();
  impl->socket = socket;
  impl->handler = std::move(handler);
  impl->stop = Descriptor(::eventfd(0, EFD_CLOEXEC));
  impl->listener = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!impl->stop || !impl->listener) return cannot(socket, "cannot be made");
  auto address = address_of(socket);
  if (!address) return cannot(socket, "cannot be made");
  ::unlink(socket.c_str());
  if (::bind(impl->listener.get(), reinterpret_cast<const sockaddr*>(&address->name), sizeof address->name) != 0)
    return cannot(socket, "cannot be made");
  // Before anybody can connect.
  if (::chmod(socket.c_str(), 0600) != 0 || ::listen(impl->listener.get(), 8) != 0) return cannot(socket, "cannot be served");
  impl->thread = std::jthread([self = impl.get()] { self->run(); });
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ControlServer::~ControlServer() {
  ::eventfd_write(impl_->stop.get(), 1);
  impl_->thread.join();
  ::unlink(impl_->socket.c_str());
}

Result<std::string> ask_instance(const std::filesystem::path& socket, std::string_view request,
                                 std::chrono::milliseconds deadline) {
  const auto until = SteadyClock::now() + deadline;
  Descriptor file(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Descriptor never(::eventfd(0, EFD_CLOEXEC));
  auto address = address_of(socket);
  if (!file || !never || !address) return cannot(socket, "cannot be reached");
  if (::connect(file.get(), reinterpret_cast<const sockaddr*>(&address->name), sizeof address->name) != 0)
    return cannot(socket, "no instance answers there");
  std::string buffer;
  if (!write_line(file.get(), std::string(request), never.get(), until)) return cannot(socket, "the instance does not listen");
  auto answer = read_line(file.get(), buffer, never.get(), until);
  if (!answer) return unavailable(fmt::format("{}: the instance gave no answer", socket.string()));
  return std::move(*answer);
}

}  // namespace millrace::cli
