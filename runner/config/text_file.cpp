#include "runner/config/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "runner/config/values.h"

namespace millrace::config {
namespace {

Error too_large(std::uint64_t limit) { return invalid(fmt::format("it is larger than {}", show_bytes({limit}))); }

Error failed() { return invalid(std::generic_category().message(errno)); }

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "it is a folder";
  if (S_ISFIFO(mode)) return "it is a pipe, not a file";
  if (S_ISSOCK(mode)) return "it is a socket, not a file";
  return "it is a device, not a file";
}

/// An open file, closed at the end.
class Descriptor {
 public:
  // Without O_NONBLOCK a pipe is waited for until somebody writes.
  explicit Descriptor(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<void> check(const Descriptor& file, std::uint64_t limit) {
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return failed();
  if (!S_ISREG(status.st_mode)) return invalid(kind_of(status.st_mode));
  if (static_cast<std::uint64_t>(status.st_size) > limit) return too_large(limit);
  return {};
}

}  // namespace

Result<void> readable_file(const std::filesystem::path& path, std::uint64_t limit) { return check(Descriptor(path), limit); }

Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t limit) {
  Descriptor file(path);
  if (auto good = check(file, limit); !good) return good.error();
  std::string text;
  char part[1 << 16];
  for (;;) {
    ssize_t count = ::read(file.get(), part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed();
    if (count == 0) return text;
    text.append(part, static_cast<std::size_t>(count));
    // It may have grown, or be one of those whose size the system does not know.
    if (text.size() > limit) return too_large(limit);
  }
}

}  // namespace millrace::config
