#include "runner/supervise/watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cstdint>
#include <list>

namespace millrace::supervise {
namespace {

constexpr int most_links = 40;  ///< as the kernel, before it says ELOOP
constexpr std::uint32_t noticed = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_MOVE_SELF;

}  // namespace

FileWatch::FileWatch() : descriptor_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

FileWatch::~FileWatch() {
  if (descriptor_ >= 0) close(descriptor_);
}

/// Walks to a file as the kernel would, and notes each name whose change leads elsewhere.
void FileWatch::follow(const std::filesystem::path& file, std::set<std::filesystem::path>& wanted) {
  std::error_code error;
  std::filesystem::path at;
  std::filesystem::path whole = std::filesystem::absolute(file, error).lexically_normal();
  std::list<std::filesystem::path> rest(whole.begin(), whole.end());
  for (int links = 0; !rest.empty();) {
    std::filesystem::path name = rest.front();
    rest.pop_front();
    if (name == ".." || name.is_absolute()) {
      at = name.is_absolute() ? name : at.parent_path();
      continue;
    }
    if (name.empty() || name == ".") continue;
    std::filesystem::path next = at / name;
    std::filesystem::file_status status = std::filesystem::symlink_status(next, error);
    bool link = std::filesystem::is_symlink(status), missing = !std::filesystem::exists(status);
    if (link || missing || rest.empty()) {
      files_.insert(next);
      wanted.insert(at);
    }
    if (missing || (link && ++links > most_links)) return;
    if (!link) {
      at = next;
      continue;
    }
    std::filesystem::path target = std::filesystem::read_symlink(next, error);
    rest.insert(rest.begin(), target.begin(), target.end());
  }
}

bool FileWatch::watch(const std::vector<std::filesystem::path>& files, const std::vector<std::filesystem::path>& folders) {
  files_.clear();
  folders_.clear();
  std::set<std::filesystem::path> wanted;
  for (const auto& file : files) follow(file, wanted);
  std::error_code error;
  for (const auto& folder : folders) {
    follow(folder, wanted);
    // By the one name that follow() has for it, too: a folder has one watch.
    folders_.insert(std::filesystem::weakly_canonical(folder, error));
    wanted.insert(std::filesystem::weakly_canonical(folder, error));
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
  bool more = false;
  for (const auto& folder : wanted) {
    if (watched_.contains(folder)) continue;
    int id = inotify_add_watch(descriptor_, folder.c_str(), noticed);
    if (id < 0) continue;
    watched_[folder] = id;
    folder_of_[id] = folder;
    more = true;
  }
  return more;
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
      // The folder is gone, or has another name; what has its name is watched once it is there.
      if (folder != folder_of_.end() && (event->mask & (IN_IGNORED | IN_MOVE_SELF))) {
        if (event->mask & IN_MOVE_SELF) inotify_rm_watch(descriptor_, event->wd);
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
