#include "plugins/file_sink/lines_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runner/stage/json.h"

namespace millrace::file_sink {

Error LinesFile::failed(std::string_view doing, int error) const {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return unavailable(
          fmt::format("cannot {} {}: the disk is full; make room and it goes on", doing, options_.path.string()));
    case EROFS: return unavailable(fmt::format("cannot {} {}: the file system is read-only", doing, options_.path.string()));
    default: return unavailable(fmt::format("cannot {} {}: {}", doing, options_.path.string(), std::strerror(error)));
  }
}

Error LinesFile::cannot_open(int error) const {
  Error what = failed("write", error);
  bool hopeless = error == ENOENT || error == ENOTDIR || error == EISDIR || error == EACCES || error == ENAMETOOLONG;
  if (hopeless) what.kind = ErrorKind::invalid;
  if (error == ENOENT) what.what += "; make the folder first";
  return what;
}

/// What a reader could stop: a write would wait for it, and nothing could end that.
Result<void> LinesFile::see_kind() const {
  struct stat status {};
  if (::stat(options_.path.c_str(), &status) != 0 || !(S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode))) return {};
  return invalid(fmt::format("{} is a pipe, no file: the plugin `console` writes there, with `path`", options_.path.string()));
}

Result<void> LinesFile::preflight() const {
  if (auto kind = see_kind(); !kind) return kind;
  int fd = ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) ::close(fd);
  if (error == ENOENT) {
    std::filesystem::path folder = options_.path.parent_path();
    error = ::faccessat(AT_FDCWD, folder.empty() ? "." : folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno;
  }
  if (error == 0) return {};
  Error refusal = cannot_open(error);
  return refusal.kind == ErrorKind::invalid ? Result<void>(refusal) : Result<void>();
}

Result<void> LinesFile::open() {
  close();
  if (auto kind = see_kind(); !kind) return kind;
  cut_off_ = 0;
  bool first = !emptied_;
  bool empty = first && !options_.append;
  fd_ = ::open(options_.path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (empty ? O_TRUNC : 0), 0644);
  // It may be open to writers alone.
  if (fd_ < 0 && errno == EACCES) fd_ = ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | (empty ? O_TRUNC : 0));
  if (fd_ < 0) {
    Error error = cannot_open(errno);
    // What could be opened before may be so again.
    if (!first) error.kind = ErrorKind::unavailable;
    return error;
  }
  struct stat status {};
  if (::fstat(fd_, &status) != 0) return failed("look at", errno);
  regular_ = S_ISREG(status.st_mode);
  emptied_ = true;
  return regular_ && status.st_size > 0 ? mend_last_line() : Result<void>{};
}

Result<void> LinesFile::mend_last_line() {
  constexpr off_t longest = 16 << 20;
  const off_t size = ::lseek(fd_, 0, SEEK_END);
  std::string tail;
  for (off_t step = 4096;; step *= 4) {
    off_t from = std::max<off_t>(0, size - std::min(step, longest));
    tail.resize(static_cast<std::size_t>(size - from));
    ssize_t got = ::pread(fd_, tail.data(), tail.size(), from);
    if (got < 0 && errno == EBADF) return {};  // open to writers alone: nobody can know
    if (got != static_cast<ssize_t>(tail.size())) return failed("read the end of", got < 0 ? errno : EIO);
    if (tail.back() == '\n') return {};
    std::size_t feed = tail.rfind('\n');
    if (feed != std::string::npos) tail.erase(0, feed + 1);
    if (feed != std::string::npos || from == 0 || step >= longest) break;
  }
  Arena arena;
  bool too_long = tail.size() >= static_cast<std::size_t>(longest);
  if (too_long || JsonDecoder().decode_value(tail, arena)) return append_whole("\n");
  if (::ftruncate(fd_, size - static_cast<off_t>(tail.size())) != 0) return failed("mend", errno);
  cut_off_ = tail.size();
  return {};
}

bool LinesFile::was_replaced() const {
  struct stat here {
  }, there{};
  if (::fstat(fd_, &here) != 0 || ::stat(options_.path.c_str(), &there) != 0) return true;
  return here.st_ino != there.st_ino || here.st_dev != there.st_dev;
}

Result<void> LinesFile::write(std::string_view lines) {
  if (fd_ < 0 || (regular_ && was_replaced()))
    if (auto opened = open(); !opened) return opened;
  if (auto written = append_whole(lines); !written) return written;
  if (options_.sync && regular_ && ::fdatasync(fd_) != 0) return failed("sync", errno);
  return {};
}

Result<void> LinesFile::append_whole(std::string_view lines) {
  std::size_t done = 0;
  while (done < lines.size()) {
    ssize_t written = ::write(fd_, lines.data() + done, lines.size() - done);
    if (written >= 0) {
      done += static_cast<std::size_t>(written);
      continue;
    }
    if (errno == EINTR) continue;
    int error = errno;
    if (regular_ && done > 0) {
      off_t end = ::lseek(fd_, 0, SEEK_END);
      // Where even that fails, the torn line is mended when the file is opened again.
      if (end < 0 || ::ftruncate(fd_, end - static_cast<off_t>(done)) != 0) close();
    }
    return failed("write", error);
  }
  return {};
}

void LinesFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace millrace::file_sink
