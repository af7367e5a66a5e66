#include "runner/supervise/watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cstdint>

namespace millrace::supervise {
namespace {

std::filesystem::path folder_of(const std::filesystem::path& file) {
  std::error_code error;
  return std::filesystem::absolute(file, error).lexically_normal().parent_path();
}

}  // namespace

FileWatch::FileWatch() : descriptor_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

FileWatch::~FileWatch() {
  if (descriptor_ >= 0) close(descriptor_);
}

void FileWatch::watch(const std::vector<std::filesystem::path>& files, const std::vector<std::filesystem::path>& folders) {
  files_.clear();
  folders_.clear();
  std::set<std::filesystem::path> wanted;
  std::error_code error;
  for (const auto& file : files) {
    files_.insert(std::filesystem::absolute(file, error).lexically_normal());
    wanted.insert(folder_of(file));
  }
  for (const auto& folder : folders) {
    folders_.insert(folder_of(folder / "."));
    wanted.insert(folder_of(folder / "."));
  }
  for (auto entry = watched_.begin(); entry != watched_.end();) {
    if (wanted.contains(entry->first)) {
      ++entry;
      continue;
    }
    inotify_rm_watch(descriptor_, entry->second);
    folder_of_.erase(entry->second);
    entry = watched_.erase(entry);
  }
  for (const auto& folder : wanted) {
    if (watched_.contains(folder)) continue;
    int id =
        inotify_add_watch(descriptor_, folder.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE);
    if (id < 0) continue;
    watched_[folder] = id;
    folder_of_[id] = folder;
  }
}

bool FileWatch::take() {
  bool concerned = false;
  alignas(inotify_event) char buffer[16'384];
  for (;;) {
    ssize_t size = read(descriptor_, buffer, sizeof buffer);
    if (size <= 0) return concerned;
    for (char* at = buffer; at < buffer + size;) {
      auto* event = reinterpret_cast<inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      if (event->mask & IN_Q_OVERFLOW) concerned = true;  // who knows what was missed
      auto folder = folder_of_.find(event->wd);
      if (folder != folder_of_.end() && (event->mask & IN_IGNORED)) {  // the folder is gone; watched again when it is back
        watched_.erase(folder->second);
        folder_of_.erase(folder);
        concerned = true;
        continue;
      }
      if (folder == folder_of_.end() || event->len == 0) continue;
      concerned |= folders_.contains(folder->second) || files_.contains(folder->second / event->name);
    }
  }
}

}  // namespace millrace::supervise
