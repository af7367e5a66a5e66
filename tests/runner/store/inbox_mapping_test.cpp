// The inbox writes through a mapping of its file. What it does where the room, the mapping or the pages cannot be had.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <string>
#include <thread>

#include "inbox_bench.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::store;
using namespace millrace::store::bench;

namespace {

/// A folder on tmpfs, which is among the file systems that are mapped, whatever the test's own folder is on.
struct MappedFolder {
  MappedFolder() : path("/dev/shm/millrace-inbox-" + std::to_string(::getpid())) { fs::create_directory(path); }
  ~MappedFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  MappedFolder(const MappedFolder&) = delete;
  MappedFolder& operator=(const MappedFolder&) = delete;

  /// How many segments of the inbox this process has in its memory.
  int mapped() const {
    std::ifstream maps("/proc/self/maps");
    int found = 0;
    for (std::string line; std::getline(maps, line);)
      if (line.find(path.string()) != std::string::npos && line.ends_with(".log")) ++found;
    return found;
  }

  const fs::path path;
};

/// From here on the calling thread's madvise(MADV_POPULATE_WRITE) fails with `error`, until the thread ends.
bool refuse_to_populate(int error) {
  constexpr auto number = static_cast<std::uint32_t>(offsetof(seccomp_data, nr));
  constexpr auto advice = static_cast<std::uint32_t>(offsetof(seccomp_data, args[2]));
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, advice),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_POPULATE_WRITE, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{sizeof program / sizeof program[0], program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

std::string payload(int n) { return std::to_string(n) + std::string(1000, 'x'); }

}  // namespace

TEST_CASE("where pages cannot be had, a message is written by a call, and nothing is lost") {
  // As an old kernel answers, a disk that is full or fails under the page, a page that the memory's hardware has lost.
  const int error = GENERATE(EINVAL, EFAULT, EHWPOISON);
  MappedFolder folder;
  int next = 0;
  {
    auto inbox = open(folder.path);
    append(*inbox, payload(next++));
    REQUIRE(folder.mapped() == 1);
    bool refuses = false;
    int kept = 0;
    int mapped = 0;
    std::jthread([&] {
      refuses = refuse_to_populate(error);
      // Beyond what is populated, and into further segments.
      for (; next < 200; ++next) kept += inbox->append("devices/a/messages", payload(next), Time{}).has_value() ? 1 : 0;
      mapped = folder.mapped();
    }).join();
    REQUIRE(refuses);
    CHECK(kept == 199);
    CHECK(mapped == 1);  // the first
    while (next < 300) append(*inbox, payload(next++));
    CHECK(folder.mapped() > 1);
    CHECK(inbox->figures().refused.value() == 0);
  }
  auto again = open(folder.path);
  auto all = read_all(*again);
  REQUIRE(all.size() == 300);
  for (int n = 0; n < 300; ++n) REQUIRE(all[static_cast<std::size_t>(n)].payload == payload(n));
}

TEST_CASE("a segment without room on the disk refuses its message before anything is mapped, and is made when there is room") {
  std::signal(SIGXFSZ, SIG_IGN);
  MappedFolder folder;
  auto inbox = open(folder.path);
  rlimit unlimited{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &unlimited) == 0);
  rlimit small = unlimited;
  small.rlim_cur = 4096;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  auto refused = inbox->append("devices/a/messages", payload(0), Time{});
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &unlimited) == 0);
  REQUIRE(refused.has_error());
  CHECK(refused.error().kind == ErrorKind::unavailable);
  CHECK_THAT(refused.error().what, Catch::Contains("no room for it on the disk"));
  CHECK(inbox->figures().refused.value() == 1);
  CHECK(folder.mapped() == 0);
  append(*inbox, payload(1));
  CHECK(folder.mapped() == 1);
  auto all = read_all(*inbox);
  REQUIRE(all.size() == 1);
  CHECK(all[0].payload == payload(1));
}

TEST_CASE("a segment's room is on the disk before the first message is in it") {
  MappedFolder folder;
  auto inbox = open(folder.path);
  append(*inbox, payload(0));
  struct stat status {};
  REQUIRE(::stat((folder.path / "00000000000003e8.log").c_str(), &status) == 0);
  CHECK(status.st_size == 64 << 10);
  CHECK(status.st_blocks * 512 == 64 << 10);
}
