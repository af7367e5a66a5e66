#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "plugins/signalr/publication.h"

namespace millrace::signalr {

/// The way of publications from pipelines' threads to the hub's: bounded in bytes, and one call of `arrived` for all that
/// gather until they are taken.
class Handover {
 public:
  /// `arrived` is called on the putting thread.
  Handover(std::size_t limit, std::function<void()> arrived) : limit_(limit), arrived_(std::move(arrived)) {}

  /// False, and nothing happens, if more than `limit` bytes wait already.
  bool put(std::shared_ptr<const Publication> publication) {
    bool first = false;
    {
      std::lock_guard lock(mutex_);
      if (bytes_ > limit_) return false;
      first = waiting_.empty();
      bytes_ += publication->bytes();
      waiting_.push_back(std::move(publication));
    }
    if (first) arrived_();
    return true;
  }

  std::vector<std::shared_ptr<const Publication>> take() {
    std::lock_guard lock(mutex_);
    bytes_ = 0;
    return std::exchange(waiting_, {});
  }

 private:
  std::size_t limit_;
  std::function<void()> arrived_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Publication>> waiting_;
  std::size_t bytes_ = 0;
};

}  // namespace millrace::signalr
