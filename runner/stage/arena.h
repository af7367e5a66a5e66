#pragma once

#include <cstddef>
#include <cstring>
#include <memory_resource>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

namespace millrace {

/// Memory of one batch: what its records' names, texts and field lists live in. Grows only; freed at once with the batch.
/// Not thread-safe: it moves with its batch from thread to thread.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Room for `count` objects of a trivial type, uninitialised.
  template <class T>
  T* allocate(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>, "an arena never runs destructors");
    used_ += count * sizeof(T);
    return static_cast<T*>(memory_.allocate(count * sizeof(T), alignof(T)));
  }

  /// A copy of `text` that lives as long as the arena.
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* to = allocate<char>(text.size());
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }

  /// Bytes handed out so far.
  std::size_t used() const { return used_; }

 private:
  std::pmr::monotonic_buffer_resource memory_{2048};
  std::size_t used_ = 0;
};

}  // namespace millrace
