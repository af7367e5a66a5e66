#include "plugins/file_source/growing_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace millrace::file_source {

Result<void> GrowingFile::open() {
  if (fd_ >= 0 && !replaced()) return {};
  int fd = ::open(options_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  int error = fd < 0 ? errno : 0;
  if (fd >= 0 && ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) error = EISDIR;
  if (error != 0) {
    if (fd >= 0) ::close(fd);
    std::string what = fmt::format("cannot read {}: {}", options_.path.string(), std::strerror(error));
    // Whoever follows a file may start before it is there.
    return options_.follow && error != EISDIR ? unavailable(std::move(what)) : invalid(std::move(what));
  }
  close();
  fd_ = fd;
  restart();
  return {};
}

void GrowingFile::restart() {
  buffer_.clear();
  taken_ = 0;
  offset_ = 0;
  hungry_ = true;
  last_ = false;
  at_start_ = true;
}

void GrowingFile::consume(std::size_t bytes) {
  taken_ += bytes;
  at_start_ = at_start_ && bytes == 0;
  hungry_ = bytes == 0 || text().find('\n') == std::string_view::npos;
}

Result<GrowingFile::State> GrowingFile::read() {
  if (!hungry_ || (last_ && !text().empty())) return State::data;
  if (last_) return at_end();
  buffer_.erase(0, taken_);
  taken_ = 0;
  std::size_t held = buffer_.size();
  buffer_.resize(held + options_.piece);
  ssize_t got = 0;
  do {
    got = ::read(fd_, buffer_.data() + held, options_.piece);
  } while (got < 0 && errno == EINTR);
  int error = errno;
  buffer_.resize(held + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0 && error == EAGAIN) return State::idle;
  if (got < 0) return unavailable(fmt::format("cannot read {}: {}", options_.path.string(), std::strerror(error)));
  if (got == 0) return at_end();
  offset_ += got;
  hungry_ = false;
  return State::data;
}

Result<GrowingFile::State> GrowingFile::at_end() {
  if (!options_.follow) {
    bool more = !last_ && !text().empty();
    last_ = true;
    return more ? State::data : State::over;
  }
  struct stat status {};
  if (!last_ && ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode) && status.st_size < offset_) {
    news_ = fmt::format("{} was truncated: reading it from its start", options_.path.string());
    ::lseek(fd_, 0, SEEK_SET);
    restart();
    return State::idle;
  }
  if (!replaced()) return State::idle;
  if (!last_ && !text().empty()) {
    last_ = true;
    return State::data;
  }
  if (auto opened = open(); !opened) return State::idle;
  news_ = fmt::format("{} was replaced: reading the new file", options_.path.string());
  return State::idle;
}

/// Whether another file stands under the path. While none does the old one may still grow, as its writer has it open.
bool GrowingFile::replaced() const {
  struct stat here {
  }, there{};
  if (::fstat(fd_, &here) != 0 || ::stat(options_.path.c_str(), &there) != 0) return false;
  return here.st_ino != there.st_ino || here.st_dev != there.st_dev;
}

void GrowingFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace millrace::file_source
