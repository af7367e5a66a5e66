#include "plugins/console/open_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace millrace::console {

OpenFile::OpenFile(OpenFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

Result<OpenFile> OpenFile::open(const std::filesystem::path& path) {
  OpenFile file;
  // Without waiting, as a named pipe without a reader would hold up the stage; what is written later may wait.
  file.fd_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
  if (file.fd_ >= 0) return file;
  int error = errno;
  if (error == ENXIO) return unavailable(fmt::format("nobody reads the pipe {} yet", path.string()));
  auto what = fmt::format("cannot write {}: {}", path.string(), std::strerror(error));
  if (error == ENOENT) what += "; make the folder first";
  bool hopeless = error == ENOENT || error == ENOTDIR || error == EISDIR || error == EACCES || error == ENAMETOOLONG;
  return hopeless ? invalid(what) : unavailable(what);
}

void OpenFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace millrace::console
