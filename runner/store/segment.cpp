#include "runner/store/segment.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "runner/store/crc32c.h"

namespace millrace::store {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t mark = 0x786f424d;  // "MBox"

template <class T>
void put(char* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

template <class T>
T get(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

Error cannot(const fs::path& path, std::string_view what, int error) {
  return unavailable(fmt::format("inbox {}: {}: {}", path.string(), what, std::strerror(error)));
}

fs::path path_of(const fs::path& folder, std::uint64_t first) { return folder / fmt::format("{:016x}.log", first); }

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t populate_ahead = 256U << 10U;

// Whether a write into room that was reserved goes where the room is. Where it may go elsewhere (btrfs, ZFS, an overlay) the
// disk can be full in spite of it, and what is a failed call of write() ends the process when the file is mapped.
bool writes_in_place(int file) {
  struct statfs about {};
  if (::fstatfs(file, &about) != 0) return false;
  const auto type = static_cast<std::uint64_t>(about.f_type);
  return type == EXT4_SUPER_MAGIC || type == TMPFS_MAGIC || type == XFS_SUPER_MAGIC;
}

}  // namespace

std::uint64_t record_size(std::size_t topic, std::size_t payload) {
  return (record_header + topic + payload + 7) & ~std::uint64_t{7};
}

void encode_record(std::string& out, const StoredMessage& message) {
  out.resize(record_header);
  put(out.data() + 4, static_cast<std::uint32_t>(message.topic.size() + message.payload.size()));
  put(out.data() + 8, message.sequence);
  put(out.data() + 16, static_cast<std::int64_t>(message.arrival.time_since_epoch().count()));
  put(out.data() + 24, message.flags);
  put(out.data() + 26, static_cast<std::uint16_t>(message.topic.size()));
  put(out.data() + 28, mark);
  out.append(message.topic).append(message.payload);
  put(out.data(), crc32c(std::string_view(out).substr(4)));
  out.resize(record_size(message.topic.size(), message.payload.size()));
}

Decoded decode_record(std::string_view bytes) {
  if (bytes.size() < record_header) return {Decoded::Kind::cut, record_header, {}};
  const char* at = bytes.data();
  const auto body = get<std::uint32_t>(at + 4);
  const auto topic = get<std::uint16_t>(at + 26);
  if (get<std::uint32_t>(at + 28) != mark || topic > body) return {};
  Decoded decoded{Decoded::Kind::cut, record_size(0, body), {}};
  if (bytes.size() < record_header + body) return decoded;
  if (crc32c(bytes.substr(4, record_header - 4 + body)) != get<std::uint32_t>(at)) return {};
  decoded.kind = Decoded::Kind::record;
  decoded.message.sequence = get<std::uint64_t>(at + 8);
  decoded.message.arrival = Time{Duration{get<std::int64_t>(at + 16)}};
  decoded.message.flags = get<std::uint16_t>(at + 24);
  decoded.message.topic = bytes.substr(record_header, topic);
  decoded.message.payload = bytes.substr(record_header + topic, body - topic);
  return decoded;
}

Result<std::shared_ptr<Segment>> Segment::make(const fs::path& folder, std::uint64_t first, std::uint64_t size) {
  const fs::path path = path_of(folder, first);
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return cannot(path, "cannot be made", errno);
  std::shared_ptr<Segment> segment(new Segment(path, file, first, size));
  if (auto reserved = segment->reserve(); !reserved) {
    segment->remove();
    return reserved.error();
  }
  return segment;
}

Result<std::shared_ptr<Segment>> Segment::reuse(Segment& spare, const fs::path& folder, std::uint64_t first) {
  const fs::path path = path_of(folder, first);
  // A reader may still hold the spare's file under its former meaning, so the new segment has a descriptor of its own.
  int file = ::open(spare.path_.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return cannot(spare.path_, "cannot be opened", errno);
  if (::rename(spare.path_.c_str(), path.c_str()) != 0) {
    int error = errno;
    ::close(file);
    return cannot(path, "cannot be renamed", error);
  }
  std::shared_ptr<Segment> segment(new Segment(path, file, first, spare.size_));
  if (auto reserved = segment->reserve(); !reserved) {
    segment->remove();
    return reserved.error();
  }
  return segment;
}

Result<std::shared_ptr<Segment>> Segment::open(const fs::path& path, std::uint64_t first) {
  int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return cannot(path, "cannot be opened", errno);
  struct stat status {};
  if (::fstat(file, &status) != 0) {
    int error = errno;
    ::close(file);
    return cannot(path, "cannot be read", error);
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::shared_ptr<Segment> segment(new Segment(path, file, first, size));
  segment->set_end(size);
  return segment;
}

Segment::~Segment() {
  unmap();
  ::close(file_);
}

// No later write shall find the disk full.
Result<void> Segment::reserve() {
  unmap();
  const auto bytes = static_cast<off_t>(size_);
  if (::fallocate(file_, 0, 0, bytes) != 0) {
    if (errno != EOPNOTSUPP || ::ftruncate(file_, bytes) != 0) return cannot(path_, "no room for it on the disk", errno);
    return {};
  }
  if (!writes_in_place(file_)) return {};
  void* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (memory == MAP_FAILED) return {};
  memory_ = static_cast<char*>(memory);
  mapped_ = size_;
  populated_ = end() / page * page;
  return {};
}

void Segment::unmap() {
  if (memory_) ::munmap(memory_, mapped_);
  memory_ = nullptr;
}

// False if it has to be written by a call, which will say why.
bool Segment::copy(std::uint64_t at, std::string_view record) {
  if (!memory_) return false;
  if (at + record.size() > populated_) {
    const std::uint64_t needed = (at + record.size() - populated_ + page - 1) / page * page;
    const std::uint64_t length = std::min(std::max(needed, populate_ahead), mapped_ - populated_);
    int failed = 0;
    do failed = ::madvise(memory_ + populated_, length, MADV_POPULATE_WRITE);
    while (failed != 0 && (errno == EINTR || errno == EAGAIN));
    if (failed != 0) {
      unmap();
      return false;
    }
    populated_ += length;
    // Written pages are the cache's from here on, not this process's.
    ::madvise(memory_, at / page * page, MADV_DONTNEED);
  }
  std::memcpy(memory_ + at, record.data(), record.size());
  return true;
}

Result<void> Segment::append(std::string_view record, bool sync) {
  const std::uint64_t at = end_.load(std::memory_order_relaxed);
  if (sync || !copy(at, record)) {
    ssize_t written = 0;
    do written = ::pwrite(file_, record.data(), record.size(), static_cast<off_t>(at));
    while (written < 0 && errno == EINTR);
    if (written != static_cast<ssize_t>(record.size())) return cannot(path_, "cannot be written", written < 0 ? errno : ENOSPC);
  }
  if (sync && ::fdatasync(file_) != 0) return cannot(path_, "cannot be brought to the disk", errno);
  if (!sync) unsynced_.store(true, std::memory_order_relaxed);
  set_end(at + record.size());
  return {};
}

Result<std::string_view> Segment::read(std::uint64_t offset, std::uint64_t size, std::string& buffer) const {
  const std::uint64_t until = end();
  if (offset >= until) return std::string_view();
  size = std::min(size, until - offset);
  if (buffer.size() < size) buffer.resize(size);
  std::uint64_t got = 0;
  while (got < size) {
    ssize_t part = ::pread(file_, buffer.data() + got, size - got, static_cast<off_t>(offset + got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return cannot(path_, "cannot be read", errno);
    if (part == 0) break;
    got += static_cast<std::uint64_t>(part);
  }
  return std::string_view(buffer).substr(0, got);
}

Result<void> Segment::cut(std::uint64_t end, std::uint64_t size) {
  if (::ftruncate(file_, static_cast<off_t>(end)) != 0) return cannot(path_, "cannot be cut", errno);
  size_ = size;
  set_end(end);
  return reserve();
}

void Segment::sync() {
  if (unsynced_.exchange(false, std::memory_order_relaxed)) ::fdatasync(file_);
}

void Segment::remove() {
  std::error_code ignored;  // gone already is as good
  fs::remove(path_, ignored);
}

std::optional<std::uint64_t> sequence_of(const fs::path& path) {
  const std::string name = path.filename().string();
  constexpr std::size_t digits = 16;
  if (name.size() != digits + 4 || name.substr(digits) != ".log") return std::nullopt;
  std::uint64_t sequence = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + digits, sequence, 16);
  if (error != std::errc{} || end != name.data() + digits) return std::nullopt;
  return sequence;
}

}  // namespace millrace::store
