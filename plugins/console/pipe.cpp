#include "plugins/console/pipe.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

namespace millrace::console {
namespace {

/// Readable from the moment a stop is requested.
class StopEvent {
 public:
  explicit StopEvent(const std::stop_token& stop) : callback_(stop, Signal{event_.fd}) {}

  int fd() const { return event_.fd; }

 private:
  struct Event {
    Event() = default;
    ~Event() { ::close(fd); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    const int fd = ::eventfd(0, EFD_CLOEXEC);
  };
  struct Signal {
    int fd;
    void operator()() const { ::eventfd_write(fd, 1); }
  };
  struct Callback : std::stop_callback<Signal> {
    using std::stop_callback<Signal>::stop_callback;
  };

  Event event_;  // closed last: until the callback is gone another thread may be writing to it
  Callback callback_;
};

std::string_view next_piece(std::string_view lines) {
  if (lines.size() <= PIPE_BUF) return lines;
  std::size_t feed = lines.rfind('\n', PIPE_BUF - 1);
  return lines.substr(0, feed == std::string_view::npos ? PIPE_BUF : feed + 1);
}

}  // namespace

Error Pipe::failed(int error) const {
  if (error == EPIPE) return unavailable(fmt::format("nobody reads {} any more", name_));
  return unavailable(fmt::format("cannot write to {}: {}", name_, std::strerror(error)));
}

Result<void> Pipe::write(std::string_view lines, const std::stop_token& stop) const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return failed(errno);
  const bool regular = S_ISREG(status.st_mode);
  StopEvent stopped(stop);
  while (!lines.empty()) {
    std::string_view piece = regular ? lines : next_piece(lines);
    if (!regular) {
      std::array<pollfd, 2> wait{{{fd_, POLLOUT, 0}, {stopped.fd(), POLLIN, 0}}};
      if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) return failed(errno);
      if (wait[0].revents == 0) {
        if (wait[1].revents != 0) return unavailable(fmt::format("stopped while nobody read {}", name_));
        continue;
      }
    }
    ssize_t written = ::write(fd_, piece.data(), piece.size());
    if (written < 0 && errno != EINTR && errno != EAGAIN) return failed(errno);
    if (written > 0) lines.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace millrace::console
