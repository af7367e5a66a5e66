#include "runner/http/address.h"

#include <catch2/catch.hpp>

using millrace::http::parse_address;

TEST_CASE("an address is read in each of its forms") {
  CHECK(parse_address("127.0.0.1:8080").value().text() == "127.0.0.1:8080");
  CHECK(parse_address("[::1]:0").value().text() == "[::1]:0");
  CHECK(parse_address("localhost:81").value().text() == "127.0.0.1:81");
  CHECK(parse_address("8080").value().text() == "127.0.0.1:8080");
  CHECK(parse_address(":8080").value().text() == "0.0.0.0:8080");
}

TEST_CASE("only loopback addresses count as loopback") {
  CHECK(parse_address("127.0.0.1:1").value().loopback());
  CHECK(parse_address("127.9.9.9:1").value().loopback());
  CHECK(parse_address("[::1]:1").value().loopback());
  CHECK_FALSE(parse_address(":1").value().loopback());
  CHECK_FALSE(parse_address("10.0.0.1:1").value().loopback());
  CHECK_FALSE(parse_address("[::]:1").value().loopback());
}

TEST_CASE("what is no address is refused with a hint") {
  for (auto text :
       {"", "example.org:80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:8o", "::1:80", "[::1]", "[1.2.3.4]:1", "1.2.3:4"}) {
    CAPTURE(text);
    auto address = parse_address(text);
    REQUIRE(address.has_error());
    CHECK(address.error().kind == millrace::ErrorKind::invalid);
    CHECK(address.error().what.find("127.0.0.1:8080") != std::string::npos);
  }
}
