#include "runner/stage/printable.h"

#include <catch2/catch.hpp>

using namespace millrace;

TEST_CASE("what is shown to people cannot move their cursor") {
  CHECK(printable("plain, with ümläuts, 漢字 and 🙂") == "plain, with ümläuts, 漢字 and 🙂");
  CHECK(printable("a line\n\tand another") == "a line\\x0a\\x09and another");
  CHECK(printable_lines("a line\n\tand another\x1B") == "a line\n\tand another\\x1b");
  CHECK(printable("\x1B[31mred\r\x07\x7F") == "\\x1b[31mred\\x0d\\x07\\x7f");
  CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
  CHECK(printable("\xC2\x9B"
                  "31m") == "\\xc2\\x9b31m");
  CHECK(printable("").empty());
}

TEST_CASE("what is not UTF-8 is shown as its bytes, and the rest as it is") {
  CHECK(printable("a\xFFz") == "a\\xffz");
  CHECK(printable("\xC3\x28") == "\\xc3(");
  CHECK(printable("\xE2\x82") == "\\xe2\\x82");
  CHECK(printable("\xC0\xAF\xED\xA0\x80\xF4\x90\x80\x80") == "\\xc0\\xaf\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80");
}

TEST_CASE("the whole characters of a text are counted up to the first broken one") {
  CHECK(utf8_prefix("") == 0);
  CHECK(utf8_prefix("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x99\x82") == 10);
  CHECK(utf8_prefix("ab\xFFz") == 2);
  CHECK(utf8_prefix("ab\xE2\x82") == 2);
  CHECK(utf8_prefix("\xE0\x80\x80") == 0);
}
