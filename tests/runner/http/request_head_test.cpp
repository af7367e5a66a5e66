#include "runner/http/request_head.h"

#include <catch2/catch.hpp>
#include <string>

using millrace::http::judge_request_head;

TEST_CASE("a plain request head is accepted") {
  CHECK(judge_request_head("GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
  CHECK(judge_request_head("GET / HTTP/1.0\r\n\r\n") == 0);
  CHECK(judge_request_head("POST /x?y=z HTTP/1.1\r\nhost:a:80\r\nContent-Length: 3\r\n\r\n") == 0);
  CHECK(judge_request_head("POST / HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: Chunked\r\n\r\n") == 0);
  CHECK(judge_request_head("GET / HTTP/1.1\r\nHost:\r\n\r\n") == 0);
}

TEST_CASE("a request head that two readers could frame differently is refused") {
  auto head = [](std::string headers) { return "POST / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n"; };
  auto refused = GENERATE_COPY(values<std::string>({
      head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
      head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
      head("Content-Length: 3\r\nContent-Length: 3\r\n"),
      head("Content-Length: 3, 3\r\n"),
      head("Content-Length: +3\r\n"),
      head("Content-Length: -1\r\n"),
      head("Content-Length: 0x3\r\n"),
      head("Content-Length:\r\n"),
      head("Content-Length: 99999999999999999999\r\n"),
      head("Content-Length : 3\r\n"),
      head("X: a\r\n b\r\n"),
      head("X: a\r\n\tb\r\n"),
      head(" X: a\r\n"),
      head("Host: b\r\n"),
      head("X: a\nY: b\r\n"),
      head("X: a\rY: b\r\n"),
      head(std::string("X: a\0b\r\n", 8)),
      head("no colon\r\n"),
      head(": empty name\r\n"),
      head("X(: a\r\n"),
      std::string("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
      std::string("GET / HTTP/1.1\r\n\r\n"),
      std::string("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
      std::string("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
      std::string("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
      std::string("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
      std::string("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
      std::string("GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n"),
      std::string("G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
      std::string("GET /\r\nHost: a\r\n\r\n"),
      std::string("GET / HTTP/1.1\nHost: a\n\n"),
      std::string("GET / http/1.1\r\nHost: a\r\n\r\n"),
      std::string("\r\n\r\n"),
      std::string(""),
  }));
  CAPTURE(refused);
  CHECK(judge_request_head(refused) == 400);
}

TEST_CASE("other versions and transfer codings have answers of their own") {
  CHECK(judge_request_head("GET / HTTP/2.0\r\nHost: a\r\n\r\n") == 505);
  CHECK(judge_request_head("GET / HTTP/1.2\r\nHost: a\r\n\r\n") == 505);
  CHECK(judge_request_head("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n") == 501);
}
