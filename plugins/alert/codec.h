#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace millrace::alert {

/// Writes what a snapshot keeps, in this machine's byte order: a data folder stays on its machine.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  template <class T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>) void put(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    out_.append(text);
  }
  void raw(const void* from, std::size_t bytes) { out_.append(static_cast<const char*>(from), bytes); }

 private:
  std::string& out_;
};

/// Reads it back. Past the end everything is zero and good() false, so that a caller checks once.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  bool good() const { return good_; }
  bool over() const { return in_.empty(); }

  template <class T>
  requires(std::is_arithmetic_v<T> || std::is_enum_v<T>) T get() {
    T value{};
    raw(&value, sizeof value);
    return value;
  }
  std::string_view text() { return bytes(get<std::uint32_t>()); }
  std::string_view bytes(std::size_t count) {
    if (count > in_.size()) {
      good_ = false;
      in_ = {};
      return {};
    }
    std::string_view found = in_.substr(0, count);
    in_.remove_prefix(count);
    return found;
  }
  void raw(void* to, std::size_t count) {
    std::string_view found = bytes(count);
    if (found.size() == count && count > 0) std::memcpy(to, found.data(), count);
  }

 private:
  std::string_view in_;
  bool good_ = true;
};

}  // namespace millrace::alert
