// measure COMMAND...: runs a command and says on file descriptor 3, or else on standard error, what it cost as one JSON object:
// {"wall","user","system" in seconds,"peak" resident KiB,"status" exit status, or 128 + signal}. SIGTERM is passed on to the
// command.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>

namespace {

volatile pid_t command = 0;

void pass_on(int signal) {
  if (command > 0) kill(command, signal);
}

double seconds(const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("measure COMMAND...\n", stderr);
    return 2;
  }
  const auto start = std::chrono::steady_clock::now();
  command = fork();
  if (command < 0) {
    std::perror("fork");
    return 1;
  }
  if (command == 0) {
    fcntl(3, F_SETFD, FD_CLOEXEC);
    execvp(argv[1], argv + 1);
    std::perror(argv[1]);
    _exit(127);
  }
  std::signal(SIGTERM, pass_on);
  std::signal(SIGINT, pass_on);

  int status = 0;
  rusage usage{};
  while (wait4(command, &status, 0, &usage) < 0) {
    if (errno == EINTR) continue;
    std::perror("wait4");
    return 1;
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  const int out = fcntl(3, F_GETFD) >= 0 ? 3 : 2;
  dprintf(out, "{\"wall\":%.6f,\"user\":%.6f,\"system\":%.6f,\"peak\":%ld,\"status\":%d}\n", wall.count(),
          seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss, code);
  return code;
}
