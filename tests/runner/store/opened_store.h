#pragma once

#include <catch2/catch.hpp>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "runner/store/store.h"

// What tests of a store on disk share.
namespace millrace::store::test_rows {

inline std::unique_ptr<Store> open(const std::filesystem::path& folder, Store::Options options = {}) {
  auto store = Store::open(folder, std::move(options));
  if (!store) FAIL(store.error().what);
  return std::move(*store);
}

template <class T>
T value(Result<T> result) {
  if (!result) FAIL(result.error().what);
  return std::move(*result);
}

/// Counts answers, for commits whose answers come from another thread.
struct Answers {
  std::mutex mutex;
  std::condition_variable changed;
  int good = 0;
  std::vector<Error> bad;

  Store::Done done() {
    return [this](Result<void> result) {
      std::lock_guard lock(mutex);
      result ? void(++good) : bad.push_back(result.error());
      changed.notify_all();
    };
  }
  bool wait_for_good(int count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return good >= count; });
  }
};

}  // namespace millrace::store::test_rows
