#include "runner/cli/control.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::cli;

namespace {

std::unique_ptr<ControlServer> serve(const std::filesystem::path& socket) {
  auto server = ControlServer::serve(socket, [](std::string_view request) { return "<" + std::string(request) + ">"; });
  if (!server) FAIL(server.error().what);
  return std::move(*server);
}

}  // namespace

TEST_CASE("a running instance answers what it is asked") {
  test::TempFolder folder;
  const auto socket = folder.path() / "control.sock";
  auto server = serve(socket);
  for (int i = 0; i < 3; ++i) {
    auto answer = ask_instance(socket, "question");
    REQUIRE(answer);
    CHECK(*answer == "<question>");
  }
  const std::string large(500'000, 'q');
  CHECK(ask_instance(socket, large).value() == "<" + large + ">");
}

TEST_CASE("the control socket is its owner's alone, and gone with the instance") {
  test::TempFolder folder;
  const auto socket = folder.path() / "control.sock";
  auto server = serve(socket);
  CHECK(std::filesystem::status(socket).permissions() == std::filesystem::perms(0600));
  server.reset();
  CHECK_FALSE(std::filesystem::exists(socket));
  auto answer = ask_instance(socket, "question");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().kind == ErrorKind::unavailable);
  CHECK_THAT(answer.error().what, Catch::Matchers::Contains("no instance"));
}

TEST_CASE("a socket that a killed instance left is replaced") {
  test::TempFolder folder;
  const auto socket = folder.write("control.sock", "left behind");
  auto server = serve(socket);
  CHECK(ask_instance(socket, "q").value() == "<q>");
}

TEST_CASE("a data folder may lie deeper than a socket's name is long") {
  test::TempFolder folder;
  const auto deep = folder.path() / std::string(100, 'd') / std::string(100, 'e');
  std::filesystem::create_directories(deep);
  auto server = serve(deep / "control.sock");
  CHECK(ask_instance(deep / "control.sock", "q").value() == "<q>");
}

TEST_CASE("an instance that answers nothing is told apart after the deadline, and a client that leaves harms nobody") {
  test::TempFolder folder;
  const auto socket = folder.path() / "control.sock";
  int silent = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, socket.c_str(), sizeof name.sun_path - 1);
  REQUIRE(::bind(silent, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  REQUIRE(::listen(silent, 1) == 0);
  auto answer = ask_instance(socket, "q", std::chrono::milliseconds(20));
  REQUIRE_FALSE(answer);
  CHECK_THAT(answer.error().what, Catch::Matchers::Contains("no answer"));
  ::close(silent);

  auto server = serve(socket);
  for (int i = 0; i < 20; ++i) {
    int leaver = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(leaver, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    if (i % 2 == 0) REQUIRE(::send(leaver, "half a li", 9, MSG_NOSIGNAL) == 9);
    ::close(leaver);
  }
  CHECK(ask_instance(socket, "q").value() == "<q>");
}
