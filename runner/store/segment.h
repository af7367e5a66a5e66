#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::store {

// The inbox on disk. A segment is a preallocated file `<sequence of its first record, 16 hex digits>.log` that holds records
// one after another, each at a multiple of 8 bytes, numbers little-endian:
//
//   0  u32 CRC-32C of bytes 4 to the end of the payload   24  u16 flags
//   4  u32 bytes of topic and payload                     26  u16 bytes of topic
//   8  u64 sequence                                       28  u32 mark
//  16  i64 arrival, microseconds                          32  topic, payload, zeros to a multiple of 8
//
// Sequences rise by one. What follows the last record is zeros, or records of lower sequence in a file used before.

struct StoredMessage {
  std::uint64_t sequence = 0;
  Time arrival{};
  std::uint16_t flags = 0;
  std::string_view topic, payload;
};

inline constexpr std::size_t record_header = 32;

/// Bytes on disk of a record.
std::uint64_t record_size(std::size_t topic, std::size_t payload);

/// Replaces `out` with the record's bytes.
void encode_record(std::string& out, const StoredMessage& message);

/// What stands at the beginning of some bytes of a segment.
struct Decoded {
  enum class Kind {
    record,
    cut,      ///< may be a record, but `size` bytes are needed to see
    nothing,  ///< no record: zeros, torn, damaged
    failed,   ///< the disk cannot be read
  };
  Kind kind = Kind::nothing;
  std::uint64_t size = 0;  ///< on disk
  StoredMessage message;   ///< views into the bytes
};

Decoded decode_record(std::string_view bytes);

/// One file of the log. The appender alone writes; any thread reads what lies before end().
class Segment {
 public:
  /// Makes and preallocates a file, or takes `spare`, a file of the same size, for it.
  static Result<std::shared_ptr<Segment>> make(const std::filesystem::path& folder, std::uint64_t first, std::uint64_t size);
  static Result<std::shared_ptr<Segment>> reuse(Segment& spare, const std::filesystem::path& folder, std::uint64_t first);
  static Result<std::shared_ptr<Segment>> open(const std::filesystem::path& path, std::uint64_t first);

  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  std::uint64_t first() const { return first_; }
  std::uint64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }

  /// Where the next record goes; bytes before it are readable.
  std::uint64_t end() const { return end_.load(std::memory_order_acquire); }
  void set_end(std::uint64_t end) { end_.store(end, std::memory_order_release); }

  /// Writes at end() and moves it. On an error nothing counts as written. Without `sync` it costs a copy where the file can be
  /// mapped, which is where its room is its own, and a call of the system elsewhere; either way a kill loses nothing.
  Result<void> append(std::string_view record, bool sync);

  /// Up to `size` bytes from `offset`, never beyond end(), into `buffer`; fewer where the file ends early.
  Result<std::string_view> read(std::uint64_t offset, std::uint64_t size, std::string& buffer) const;

  /// Makes all behind `end` zeros and the file `size` long.
  Result<void> cut(std::uint64_t end, std::uint64_t size);

  /// To the disk, if anything was appended since.
  void sync();

  void remove();

 private:
  Segment(std::filesystem::path path, int file, std::uint64_t first, std::uint64_t size)
      : path_(std::move(path)), file_(file), first_(first), size_(size) {}

  /// Takes the room on the disk, and maps the file if that room cannot be taken away.
  Result<void> reserve();
  bool copy(std::uint64_t at, std::string_view record);
  void unmap();

  std::filesystem::path path_;
  int file_;
  std::uint64_t first_;
  std::uint64_t size_;
  char* memory_ = nullptr;       ///< the file, for the appender; null where it is written by calls
  std::uint64_t mapped_ = 0;     ///< bytes
  std::uint64_t populated_ = 0;  ///< up to here the pages are there, so that to write them cannot fail
  std::atomic<std::uint64_t> end_{0};
  std::atomic<bool> unsynced_{false};
};

/// The sequence in a segment's file name, or nothing if it is no segment's.
std::optional<std::uint64_t> sequence_of(const std::filesystem::path& path);

}  // namespace millrace::store
