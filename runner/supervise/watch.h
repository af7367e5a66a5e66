#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <vector>

namespace millrace::supervise {

/// Notices when files change, also when an editor replaces them, by watching their folders (inotify). Not thread-safe.
class FileWatch {
 public:
  FileWatch();
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Watches exactly the folders of these files, and these folders.
  void watch(const std::vector<std::filesystem::path>& files, const std::vector<std::filesystem::path>& folders);

  /// Readable when something in a watched folder has changed; -1 where the system offers no watching.
  int descriptor() const { return descriptor_; }

  /// Takes what has happened since; true if it concerned a watched file, or any file of a watched folder.
  bool take();

 private:
  int descriptor_ = -1;
  std::map<std::filesystem::path, int> watched_;
  std::map<int, std::filesystem::path> folder_of_;
  std::set<std::filesystem::path> files_;
  std::set<std::filesystem::path> folders_;
};

}  // namespace millrace::supervise
