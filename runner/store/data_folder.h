#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include <sys/types.h>

#include "runner/stage/error.h"

namespace millrace::store {

/// The data folder of one running instance, locked for as long as this lives: `<folder>/lock`, which holds the owner's process
/// id. The kernel frees the lock when the process ends, however it ends.
class DataFolder {
 public:
  /// Makes the folder, mode 0700, if absent (and its parents), and locks it. An occupied folder is an error that names the
  /// holder's process id.
  static Result<DataFolder> lock(const std::filesystem::path& folder);

  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&& other) noexcept;
  ~DataFolder();

  const std::filesystem::path& path() const { return path_; }

  /// Where the instance serves `millrace alerts` and its kin.
  std::filesystem::path control_socket() const { return path_ / "control.sock"; }

  /// The process id of the instance that runs on `folder`, if one does; 0 if it has not written it yet.
  static std::optional<pid_t> holder(const std::filesystem::path& folder);

 private:
  DataFolder(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}

  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace millrace::store
