#include "runner/store/data_folder.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

namespace millrace::store {
namespace {

std::optional<pid_t> written_pid(int file) {
  char text[32];
  ssize_t size = ::pread(file, text, sizeof text, 0);
  if (size <= 0) return std::nullopt;
  pid_t pid = 0;
  auto [end, error] = std::from_chars(text, text + size, pid);
  if (error != std::errc{} || pid <= 0) return std::nullopt;
  return pid;
}

// An open-file-description lock: it can be asked about without being taken, and ends with the last descriptor.
struct flock whole_file(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

Error cannot(const std::filesystem::path& path, const char* what, int error) {
  return invalid(
      fmt::format("data folder {}: {}: {}; choose another with --data DIR", path.string(), what, std::strerror(error)));
}

Result<void> make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::is_directory(folder, error)) return {};
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
  if (error) return cannot(folder, "its parent folder cannot be made", error.value());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return cannot(folder, "cannot be made", errno);
  if (!std::filesystem::is_directory(folder, error)) return cannot(folder, "is in the way", ENOTDIR);
  return {};
}

}  // namespace

Result<DataFolder> DataFolder::lock(const std::filesystem::path& wanted) {
  // An absolute path stays right if the process changes its folder; without a trailing slash, parent_path is the parent.
  std::filesystem::path folder = std::filesystem::absolute(wanted).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  if (auto made = make_folder(folder); !made) return made.error();
  const std::filesystem::path path = folder / "lock";
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return cannot(folder, "cannot be written to", errno);
  DataFolder held(folder, file);
  struct flock exclusive = whole_file(F_WRLCK);
  if (::fcntl(file, F_OFD_SETLK, &exclusive) != 0) {
    if (errno != EAGAIN && errno != EACCES) return cannot(folder, "cannot be locked", errno);
    auto pid = written_pid(file);
    return invalid(fmt::format("data folder {}: in use by {}; stop it, or choose another folder with --data DIR",
                               folder.string(), pid ? fmt::format("process {}", *pid) : "another process"));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return cannot(folder, "cannot be written to", errno);
  return held;
}

DataFolder::DataFolder(DataFolder&& other) noexcept : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}

DataFolder& DataFolder::operator=(DataFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  return *this;
}

DataFolder::~DataFolder() {
  // The file stays: removing it would let two processes lock two files of one name.
  if (file_ >= 0) ::close(file_);
}

std::optional<pid_t> DataFolder::holder(const std::filesystem::path& folder) {
  int file = ::open((folder / "lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::optional<pid_t> pid;
  struct flock asked = whole_file(F_RDLCK);
  if (::fcntl(file, F_OFD_GETLK, &asked) == 0 && asked.l_type != F_UNLCK) pid = written_pid(file).value_or(0);
  ::close(file);
  return pid;
}

}  // namespace millrace::store
