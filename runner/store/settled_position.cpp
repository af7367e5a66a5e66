#include "runner/store/settled_position.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "runner/store/crc32c.h"

namespace millrace::store {

struct SettledPosition::Slot {
  std::uint64_t turn;
  std::uint64_t first_unsettled;
  std::uint32_t crc;
  std::uint32_t unused;

  std::uint32_t expected() const { return crc32c({reinterpret_cast<const char*>(this), offsetof(Slot, crc)}); }
  bool good() const { return turn != 0 && crc == expected(); }
};

namespace {

constexpr std::size_t page = 4096;

Error cannot(const std::filesystem::path& path, const char* what, int error) {
  return unavailable(fmt::format("inbox {}: {}: {}", path.string(), what, std::strerror(error)));
}

}  // namespace

Result<std::unique_ptr<SettledPosition>> SettledPosition::open(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "settled";
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return cannot(path, "cannot be opened", errno);
  int error = 0;
  const char* what = "cannot be used";
  void* memory = MAP_FAILED;
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    what = "in use by another source";
    error = errno;
  } else if ((error = ::posix_fallocate(file, 0, page)) != 0) {
    what = "no room for it on the disk";
  } else if ((memory = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)) == MAP_FAILED) {
    error = errno;
  }
  if (memory == MAP_FAILED) {
    ::close(file);
    return cannot(path, what, error);
  }
  return std::unique_ptr<SettledPosition>(new SettledPosition(file, static_cast<Slot*>(memory)));
}

SettledPosition::~SettledPosition() {
  ::munmap(slots_, page);
  ::close(file_);
}

const SettledPosition::Slot* SettledPosition::newest() const {
  const Slot* best = nullptr;
  for (const Slot* slot : {&slots_[0], &slots_[1]})
    if (slot->good() && (best == nullptr || slot->turn > best->turn)) best = slot;
  return best;
}

std::optional<std::uint64_t> SettledPosition::get() const {
  const Slot* slot = newest();
  return slot ? std::optional(slot->first_unsettled) : std::nullopt;
}

void SettledPosition::set(std::uint64_t first_unsettled) {
  const Slot* last = newest();
  Slot next{last ? last->turn + 1 : 1, first_unsettled, 0, 0};
  next.crc = next.expected();
  slots_[next.turn % 2] = next;
}

void SettledPosition::sync() { ::msync(slots_, page, MS_SYNC); }

}  // namespace millrace::store
