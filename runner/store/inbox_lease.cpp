#include "runner/store/inbox_lease.h"

#include <fmt/core.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

namespace millrace::store {

struct Inboxes::Open {
  struct Log {
    std::weak_ptr<Inbox> inbox;
    bool leased = false;
  };
  std::mutex mutex;
  std::condition_variable closed;
  std::map<std::filesystem::path, Log> logs;

  void forget(const std::filesystem::path& folder) {
    std::lock_guard lock(mutex);
    logs.erase(folder);
    closed.notify_all();
  }
  void give_up(const std::filesystem::path& folder) {
    std::lock_guard lock(mutex);
    if (auto log = logs.find(folder); log != logs.end()) log->second.leased = false;
  }
};

Inboxes::Inboxes() : open_(std::make_shared<Open>()) {}

Result<InboxLease> Inboxes::lease(const std::filesystem::path& folder, Inbox::Options options) {
  std::shared_ptr<Inbox> inbox;
  {
    std::unique_lock lock(open_->mutex);
    for (auto log = open_->logs.find(folder); log != open_->logs.end(); log = open_->logs.find(folder)) {
      if (log->second.leased) return unavailable(fmt::format("inbox {}: in use by another source", folder.string()));
      inbox = log->second.inbox.lock();
      if (inbox) break;
      open_->closed.wait(lock);  // another thread has just let go of it and closes its files
    }
    open_->logs[folder].leased = true;
  }
  if (inbox) {
    inbox->adopt(std::move(options));
  } else {
    auto opened = Inbox::open(folder, std::move(options));
    if (!opened) {
      open_->forget(folder);
      return opened.error();
    }
    inbox = std::shared_ptr<Inbox>(opened->release(), [open = open_, folder](Inbox* last) {
      delete last;
      open->forget(folder);
    });
    std::lock_guard lock(open_->mutex);
    open_->logs[folder].inbox = inbox;
  }
  std::shared_ptr<void> right(nullptr, [open = open_, folder](void*) { open->give_up(folder); });
  return InboxLease(std::move(inbox), std::move(right));
}

bool Inboxes::is_open(const std::filesystem::path& folder) const {
  std::lock_guard lock(open_->mutex);
  return open_->logs.contains(folder);
}

}  // namespace millrace::store
