#include "plugins/file_source/csv.h"

#include <catch2/catch.hpp>

#include "runner/stage/json.h"

using namespace millrace;
using file_source::CsvDecoder;

namespace {

/// The rows of a text, handed over in pieces of `piece` bytes, as JSON lines; bad rows as "! why".
std::string rows(std::string_view text, std::size_t piece = 1U << 20U) {
  CsvDecoder decoder;
  std::string out, held;
  while (!text.empty() || !held.empty()) {
    held += text.substr(0, piece);
    text.remove_prefix(std::min(piece, text.size()));
    Batch batch;
    std::string bad;
    auto done =
        decoder.decode(held, text.empty(), batch, [&](std::string_view, const Error& e) { bad += "! " + e.what + "\n"; });
    if (!done) return "!! " + done.error().what;
    held.erase(0, *done);
    for (const Record& r : batch.records) {
      append_json(out, r.fields.view());
      out += '\n';
    }
    out += bad;
  }
  return out;
}

}  // namespace

TEST_CASE("CSV values get the type that they look like") {
  CHECK(rows("a,b,c,d\n1,1.5,true,x\n-0,1e3,false,\n") ==
        "{\"a\":1,\"b\":1.5,\"c\":true,\"d\":\"x\"}\n{\"a\":0,\"b\":1000.0,\"c\":false,\"d\":null}\n");
  CHECK(rows("a\n007\n") == "{\"a\":\"007\"}\n");
  CHECK(rows("a\n9223372036854775807\n9223372036854775808\n-9223372036854775808\n") ==
        "{\"a\":9223372036854775807}\n{\"a\":\"9223372036854775808\"}\n{\"a\":-9223372036854775808}\n");
  CHECK(rows("a\n1e999\n+1\n.5\nNaN\n1 \n True\n") ==
        "{\"a\":\"1e999\"}\n{\"a\":\"+1\"}\n{\"a\":\".5\"}\n{\"a\":\"NaN\"}\n{\"a\":\"1 \"}\n{\"a\":\" True\"}\n");
}

TEST_CASE("CSV fields in quotes are texts with commas, line feeds and quotes") {
  std::string text = "\"a\",b\r\n\"1\",\"x, \"\"y\"\"\r\nz\"\r\n\"\",\"\"\n";
  std::string expected = "{\"a\":\"1\",\"b\":\"x, \\\"y\\\"\\r\\nz\"}\n{\"a\":\"\",\"b\":\"\"}\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) CHECK(rows(text, piece) == expected);
}

TEST_CASE("a CSV row that does not fit costs only itself") {
  CHECK(rows("a,b\n1,2\n1\n1,2,3\n3,4") ==
        "{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":4}\n! the row has 1 fields, where the header has 2\n"
        "! the row has 3 fields, where the header has 2\n");
  CHECK(rows("a\nx\"y\n1\n") == "{\"a\":1}\n! field 1 holds a quote but does not begin with one\n");
  CHECK(rows("a,b\n1,\"x\"y\n1,2\n") == "{\"a\":1,\"b\":2}\n! field 2 goes on behind its closing quote\n");
  CHECK(rows("a\n\"x\n1\n") == "{\"a\":1}\n! the quotes of field 1 are never closed\n");
  CHECK(rows("a\n\xFF\n1\n") == "{\"a\":1}\n! field 'a' is not UTF-8\n");
}

TEST_CASE("blank lines of CSV are passed over, and a file without rows has none") {
  CHECK(rows("\n\r\na,b\n\n1,2\n\r\n") == "{\"a\":1,\"b\":2}\n");
  CHECK(rows("a,b\n").empty());
  CHECK(rows("").empty());
}

TEST_CASE("a CSV header must name each column once; an unnamed one gets a name") {
  CHECK(rows("a,,c\n1,2,3\n") == "{\"a\":1,\"column2\":2,\"c\":3}\n");
  CHECK(rows("a,b,a\n1,2,3\n") == "!! the header names column 'a' twice");
  CHECK(rows("a,b\"\n1,2\n") == "!! the header cannot be read: field 2 holds a quote but does not begin with one");
}
