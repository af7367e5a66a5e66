#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <csignal>
#include <string>
#include <thread>

#include "plugins/console/pipe.h"

using namespace millrace;

namespace {

struct Ends {
  int read = -1, write = -1;

  Ends() {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    read = fds[0];
    write = fds[1];
  }
  ~Ends() {
    if (read >= 0) ::close(read);
    if (write >= 0) ::close(write);
  }
};

std::string numbered_lines(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += "{\"n\":" + std::to_string(i) + "}\n";
  return lines;
}

}  // namespace

TEST_CASE("what is larger than the pipe goes through whole") {
  Ends ends;
  std::string lines = numbered_lines(50'000) + std::string(20'000, 'x') + "\n";
  std::string got;
  std::jthread reader([&] {
    char buffer[5000];
    for (ssize_t n; (n = ::read(ends.read, buffer, sizeof buffer)) > 0;) got.append(buffer, static_cast<std::size_t>(n));
  });
  std::stop_source stop;
  CHECK(console::Pipe(ends.write).write(lines, stop.get_token()));
  ::close(std::exchange(ends.write, -1));
  reader.join();
  CHECK(got == lines);
}

TEST_CASE("a reader that does not read cannot hold up a stop") {
  Ends ends;
  std::stop_source stop;
  std::string lines = numbered_lines(50'000);
  std::jthread stopper([&] {
    // The pipe is full, or nearly, when no byte can be added without the writer waiting.
    int held = 0;
    while (::ioctl(ends.read, FIONREAD, &held) == 0 && held < 60'000) std::this_thread::yield();
    stop.request_stop();
  });
  auto written = console::Pipe(ends.write).write(lines, stop.get_token());
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == ErrorKind::unavailable);
}

TEST_CASE("a reader that has gone is an error, not the end of the process") {
  std::signal(SIGPIPE, SIG_IGN);  // as the runner does
  Ends ends;
  ::close(std::exchange(ends.read, -1));
  std::stop_source stop;
  auto written = console::Pipe(ends.write).write("{}\n", stop.get_token());
  REQUIRE_FALSE(written);
  CHECK(written.error().what == "nobody reads standard output any more");
}
