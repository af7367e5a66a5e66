#pragma once

#include <chrono>
#include <thread>

namespace millrace::test {

/// Waits until `done` says so, which other threads bring about; false at the deadline, which no good run comes near.
template <class F>
bool wait_until(F&& done, std::chrono::milliseconds deadline = std::chrono::seconds(60)) {
  auto end = std::chrono::steady_clock::now() + deadline;
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace millrace::test
