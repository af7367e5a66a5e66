#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "runner/stage/error.h"

namespace millrace::store {

/// Up to where an inbox is settled: a page of the file `settled`, mapped into memory, so that keeping it costs no system call
/// and outlives the process. Two slots are written in turn, each with a checksum: one that a kill or a power cut leaves half
/// written gives way to the other, which is at most one step older. Holds a lock on the file while it lives.
class SettledPosition {
 public:
  /// ErrorKind::unavailable if another holds it.
  static Result<std::unique_ptr<SettledPosition>> open(const std::filesystem::path& folder);

  ~SettledPosition();
  SettledPosition(const SettledPosition&) = delete;
  SettledPosition& operator=(const SettledPosition&) = delete;

  /// Sequence of the first message that is not settled, or nothing in a new file.
  std::optional<std::uint64_t> get() const;
  void set(std::uint64_t first_unsettled);

  /// To the disk.
  void sync();

 private:
  struct Slot;
  SettledPosition(int file, Slot* slots) : file_(file), slots_(slots) {}
  const Slot* newest() const;

  int file_;
  Slot* slots_;
};

}  // namespace millrace::store
