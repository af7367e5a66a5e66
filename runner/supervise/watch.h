#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <vector>

namespace millrace::supervise {

/// Notices when files change, also when an editor replaces them, by watching their folders (inotify); when files come that are
/// missing so far, with or without their folders; and when symbolic links on the way to them lead elsewhere. Not thread-safe.
class FileWatch {
 public:
  FileWatch();
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// Watches exactly the folders of these files, and these folders.
  /// True if that watches a folder which was not watched before: what has happened there until now went unseen.
  bool watch(const std::vector<std::filesystem::path>& files, const std::vector<std::filesystem::path>& folders);

  /// Readable when something in a watched folder has changed; -1 where the system offers no watching.
  int descriptor() const { return descriptor_; }

  /// Takes what has happened since; true if it concerned a watched file, or any file of a watched folder.
  bool take();

 private:
  void follow(const std::filesystem::path& file, std::set<std::filesystem::path>& wanted);

  int descriptor_ = -1;
  std::map<std::filesystem::path, int> watched_;
  std::map<int, std::filesystem::path> folder_of_;
  std::set<std::filesystem::path> files_;  ///< and links and missing folders on the way to them
  std::set<std::filesystem::path> folders_;
};

}  // namespace millrace::supervise
