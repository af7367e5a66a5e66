#include "runner/stage/json.h"

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace millrace;

namespace {

std::string encoded(const Batch& batch) {
  std::string out;
  for (const Record& r : batch.records) {
    append_json(out, r.fields.view());
    out += '\n';
  }
  return out;
}

std::string round_trip(std::string_view text) {
  Batch batch;
  auto decoded = JsonDecoder().decode(text, batch);
  return decoded ? encoded(batch) : "error: " + decoded.error().what;
}

std::string written(double number) {
  std::string out;
  append_json_number(out, number);
  return out;
}

struct Lines {
  Batch batch;
  std::vector<std::string> bad;
  std::size_t count = 0;

  explicit Lines(std::string_view text, JsonLimits limits = {}) {
    JsonDecoder decoder(limits);
    count = decoder
                .decode_lines(text, batch,
                              [&](std::string_view line, const Error& e) { bad.push_back(std::string(line) + " | " + e.what); })
                .value();
  }
};

}  // namespace

TEST_CASE("what no stage changes is written as it was read") {
  std::string text = GENERATE(
      as<std::string>{},
      R"({"deviceId":"AZ3166-7","messageId":123,"temperature":23.41,"humidity":48.2,"pressure":1013.25,"ts":1790000000000})",
      R"({"i":9223372036854775807,"j":-9223372036854775808,"k":0,"l":-1,"m":9007199254740993})",
      R"({"a":1.0,"b":-0.0,"c":1e300,"d":5e-324,"e":0.1,"f":1.7976931348623157e308,"g":2.2250738585072014e-308})",
      R"({"a":0.3333333333333333,"b":74.13799999999999,"c":123456789.123456,"d":1234567890.5,"e":1e-7,"f":0.000001})",
      R"({"a":1e22,"b":9007199254740993.0,"c":100000.0,"d":1.2345678901234568e17,"e":-1.5e-10})",
      R"({"n":null,"l":[],"o":{},"t":true,"f":false,"s":""})", R"({"deep":[[],[[1,{"x":[null,{"y":{}}]}]],{"z":[1.0,1,"1"]}]})",
      R"({"ü":"Grüße, 東京 🌍 \"quoted\" \\ \b\f\n\r\t\u0001\u001f/","":"empty name","a b":"\u007f"})",
      R"({"z":1,"y":2,"x":3,"w":4,"v":5,"u":6,"t":7,"s":8,"r":9,"q":10,"p":11,"o":12,"n":13,"m":14,"l":15,"k":16,"j":17,"a":18})",
      R"({})");
  if (text.find("\\u007f") != std::string::npos) text.replace(text.find("\\u007f"), 6, "\x7F");
  if (auto at = text.find("9007199254740993.0"); at != std::string::npos) text.replace(at, 18, "9007199254740992.0");
  CHECK(round_trip(text) == text + "\n");
  CHECK(round_trip(" \t\r\n" + text + " \n") == text + "\n");
  CHECK(encoded(Lines(text + "\r\n" + text).batch) == text + "\n" + text + "\n");
}

TEST_CASE("every double is written so that it reads back, and in the fewest digits") {
  std::mt19937_64 random(7);
  auto check = [](double number) {
    std::string text = written(number);
    Arena arena;
    Value back = JsonDecoder().decode_value(text, arena).value();
    INFO(text);
    REQUIRE(back.type() == Type::real);
    REQUIRE(back.as_real() == number);
    REQUIRE(std::signbit(back.as_real()) == std::signbit(number));
    char shortest[64];
    auto end = std::to_chars(shortest, shortest + sizeof shortest, number, std::chars_format::scientific).ptr;
    std::string mantissa(shortest, std::find(shortest, end, 'e'));
    auto significant = [](std::string digits) {
      std::erase_if(digits, [](char c) { return c == '-' || c == '.'; });
      digits.erase(0, digits.find_first_not_of('0'));
      digits.erase(digits.find_last_not_of('0') + 1);
      return digits;
    };
    REQUIRE(significant(text.substr(0, text.find('e'))) == significant(mantissa));
  };
  for (int i = 0; i < 20000; ++i) {
    double any = std::bit_cast<double>(random());
    if (std::isfinite(any)) check(any);
    check(static_cast<double>(random() % 2'000'000'000) / 1000.0 - 1e6);
    check(static_cast<double>(random() % 1'000'000'000'000'000) / 1e6);
    check(std::nextafter(static_cast<double>(random() % 100'000) / 100.0, 1e9));
  }
  for (double d : {0.0, -0.0, 1.0, 0.5, 999999999.0, 999999999.9999995, 1e9, 0.0000005, 4.9e-7, 1e15, 1e16, 1e17, 1e21, 1e-5,
                   std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()})
    check(d);
}

TEST_CASE("doubles stay recognisable as doubles") {
  CHECK(written(1.0) == "1.0");
  CHECK(written(-0.0) == "-0.0");
  CHECK(written(1e300) == "1e300");
  CHECK(written(5e-324) == "5e-324");
  CHECK(written(1e-7) == "1e-7");
  CHECK(written(1e16) == "1e16");
  CHECK(written(123456789012345680.0) == "1.2345678901234568e17");
  CHECK(written(9007199254740991.0) == "9007199254740991.0");
  CHECK(written(std::numeric_limits<double>::quiet_NaN()) == "null");
  CHECK(written(-std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("numbers are read to the nearest double") {
  auto read = [](std::string_view text) {
    Arena arena;
    return JsonDecoder().decode_value(text, arena).value();
  };
  CHECK(read("0.1").as_real() == 0.1);
  CHECK(read("23.41").as_real() == 23.41);
  CHECK(read("9007199254740993.0").as_real() == 9007199254740992.0);
  CHECK(read("1E+2").as_real() == 100.0);
  CHECK(read("123456789012345678901234567890.0").as_real() == 123456789012345678901234567890.0);
  CHECK(read("0.1000000000000000055511151231257827021181583404541015625").as_real() == 0.1);
  CHECK(read("1e-400").as_real() == 0.0);
  CHECK(std::signbit(read("-1e-400").as_real()));
  CHECK(read("0." + std::string(400, '0') + "1").as_real() == 0.0);
  CHECK(read("0e999999999999").as_real() == 0.0);
  CHECK(read("-0") == Value::integer(0));
  CHECK(read("2.4703282292062328e-324").as_real() == 5e-324);
}

TEST_CASE("an error says what is wrong and at which byte") {
  auto [text, what] = GENERATE(table<std::string, std::string>({
      {R"({"a":1)", "byte 7: the text ends where ',' or '}' should follow"},
      {R"({"a" 1})", "byte 6: '1' where ':' should follow"},
      {R"({"a":1,})", "byte 8: '}' where a name in quotes should follow"},
      {R"({a:1})", "byte 2: 'a' where a name in quotes should follow"},
      {R"({"a":[1,]})", "byte 9: ']' where a value should follow"},
      {R"({"a":[1 2]})", "byte 9: '2' where ',' or ']' should follow"},
      {R"({"a":1}})", "byte 8: '}' after the end of the document"},
      {R"({"a":1} x)", "byte 9: 'x' after the end of the document"},
      {R"({"a":tru})", "byte 6: 't' where a value should follow"},
      {R"({"a":truee})", "byte 6: 't' where a value should follow"},
      {R"({"a":NaN})", "byte 6: 'N' where a value should follow"},
      {R"({"a":'x'})", "byte 6: ''' where a value should follow"},
      {R"({"a":01})", "byte 6: this is not a number"},
      {R"({"a":1.})", "byte 6: this is not a number"},
      {R"({"a":.5})", "byte 6: '.' where a value should follow"},
      {R"({"a":+1})", "byte 6: '+' where a value should follow"},
      {R"({"a":1e})", "byte 6: this is not a number"},
      {R"({"a":-})", "byte 6: this is not a number"},
      {R"({"a":1"b"})", "byte 6: this is not a number"},
      {R"({"a":0x10})", "byte 6: this is not a number"},
      {R"({"a":9223372036854775808})", "byte 6: this integer is beyond 64 bits signed"},
      {R"({"a":-9223372036854775809})", "byte 6: this integer is beyond 64 bits signed"},
      {R"({"a":100000000000000000000})", "byte 6: this integer is beyond 64 bits signed"},
      {R"({"a":1e999})", "byte 6: this number is beyond the range of a double"},
      {R"({"a":-1e309})", "byte 6: this number is beyond the range of a double"},
      {R"({"a":"x)", "byte 6: this string is never closed"},
      {R"({"a":"\x"})", "byte 6: this string holds an escape"},
      {R"({"a":"\ud800"})", "byte 6: this string holds an escape"},
      {R"({"a":"\udc00\ud800"})", "byte 6: this string holds an escape"},
      {"{\"a\":\"x\ny\"}", "byte 8: control character byte 0x0A in a string"},
      {std::string("{\"a\":\"\0\"}", 9), "byte 7: control character byte 0x00 in a string"},
      {std::string("{\"a\":1}\0", 8), "byte 8: byte 0x00 after the end of the document"},
      {"{\"a\":\"\xC3\x28\"}", "byte 7: invalid UTF-8"},
      {"{\"a\":\"\xED\xA0\x80\"}", "byte 7: invalid UTF-8"},
      {"{\"a\":\"ok\xF4\x90\x80\x80\"}", "byte 9: invalid UTF-8"},
      {"{\"a\":1}\xC0\x80", "byte 8: invalid UTF-8"},
      {"\xFF\xFE{", "byte 1: invalid UTF-8"},
      {"", "byte 1: there is no JSON in it"},
      {" \r\n", "byte 1: there is no JSON in it"},
      {"1", "byte 1: '1' where an object or a list of objects should follow"},
      {R"([{"a":1},2])", "byte 10: '2' where an object should follow"},
      {R"([{"a":1},])", "byte 10: ']' where an object should follow"},
      {R"([{"a":1})", "byte 9: the text ends where ',' or ']' should follow"},
  }));
  CAPTURE(text);
  Batch batch;
  batch.append();
  auto decoded = JsonDecoder().decode(text, batch);
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().kind == ErrorKind::rejected);
  CHECK_THAT(decoded.error().what, Catch::Contains(what));
  CHECK(batch.size() == 1);
}

TEST_CASE("nesting is limited, however deep the text goes") {
  for (std::string open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += open;
    Batch batch;
    CHECK_THAT(JsonDecoder().decode("{\"a\":" + deep, batch).error().what, Catch::Contains("nested deeper than 32 levels"));
    CHECK_THAT(Lines("{\"a\":" + deep).bad.at(0), Catch::Contains("nested deeper than 32 levels"));
  }
  CHECK(round_trip("{\"a\":" + std::string(31, '[') + std::string(31, ']') + "}").starts_with("{"));
  CHECK(round_trip("{\"a\":" + std::string(32, '[') + std::string(32, ']') + "}").starts_with("error"));
}

TEST_CASE("a document beyond the limit of bytes is rejected, not read") {
  JsonLimits limits;
  limits.bytes = 100;
  Batch batch;
  std::string text = R"({"a":")" + std::string(100, 'x') + R"("})";
  CHECK_THAT(JsonDecoder(limits).decode(text, batch).error().what, Catch::Contains("at most 100 are taken"));
  Lines lines("{\"a\":1}\n" + text + "\n{\"b\":2}", limits);
  CHECK(lines.count == 2);
  CHECK(lines.bad.size() == 1);
}

TEST_CASE("an object that gives a name twice is rejected, with its place and the name") {
  auto why = [](std::string_view text) {
    Batch batch;
    auto decoded = JsonDecoder().decode(text, batch);
    return decoded.has_error() ? decoded.error().what : "taken";
  };
  CHECK_THAT(why(R"({"a":1,"b":2,"a":3})"), Catch::Contains("names 'a' twice") && Catch::Contains("byte 1"));
  CHECK_THAT(why(R"({"o":{"a":1,"\u0061":2}})"), Catch::Contains("names 'a' twice") && Catch::Contains("byte 6"));
  std::string many = "{";
  for (int i = 0; i < 100; ++i) many += "\"n" + std::to_string(i % 99) + "\":" + std::to_string(i) + (i < 99 ? "," : "}");
  CHECK_THAT(why(many), Catch::Contains("names 'n0' twice"));
  Lines lines("{\"a\":1,\"b\":2}\n{\"a\":1,\"a\":2}\n{\"a\":1,\"b\":3}\n{\"a\":1,\"a\":2}\n");
  CHECK(lines.count == 2);
  CHECK(lines.bad.size() == 2);
}

TEST_CASE("a million different names do not cost their square") {
  std::string many = "{";
  for (int i = 0; i < 300'000; ++i) many += "\"" + std::to_string(i) + "\":0,";
  many += "\"last\":1}";
  Batch batch;
  REQUIRE(JsonDecoder().decode(many, batch));
  CHECK(batch.records[0].fields.size() == 300'001);
}

TEST_CASE("names are compared as they are meant, not as they are escaped") {
  // The second record's name has the bytes of the first's value once the escapes are gone, and the other way round.
  Lines lines("{\"a\\\\b\":1}\n{\"a\\b\":2}\n{\"a\\\\b\":3}\n");
  REQUIRE(lines.count == 3);
  CHECK(lines.batch.records[0].fields[0].name == "a\\b");
  CHECK(lines.batch.records[1].fields[0].name == "a\b");
  CHECK(lines.batch.records[2].fields[0].name == "a\\b");
}

TEST_CASE("records of changing shape keep their own names") {
  std::string text =
      "{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":2,\"c\":3}\n{\"a\":1}\n{}\n{\"b\":2,\"a\":1}\n{\"ab\":1,\"b\":2}\n{\"a\":2}\n"
      "{\"a\":1,\"b\":2}\n[{\"a\":3,\"b\":4},{\"b\":5}]\n";
  CHECK(encoded(Lines(text).batch) ==
        "{\"a\":1,\"b\":2}\n{\"a\":1,\"b\":2,\"c\":3}\n{\"a\":1}\n{}\n{\"b\":2,\"a\":1}\n{\"ab\":1,\"b\":2}\n{\"a\":2}\n"
        "{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":4}\n{\"b\":5}\n");
}

TEST_CASE("a bad line costs only itself, and is told with its own positions") {
  std::string bad =
      GENERATE(as<std::string>{}, "{\"a\":", "{\"a\":\"open}", "x", "{\"a\":1}}", "{\"a\":1}{\"b\":2}", "[", "}",
               "{\"a\":\"\xFF\"}", "\"", "{\"a\":\"\t\"}", "[{\"a\":1},", "{\"a\":1},", "1e999", "{\"a\":[[[[", "[]]");
  CAPTURE(bad);
  Lines lines("{\"n\":1}\n\n" + bad + "\n{\"n\":2}\r\n \n" + bad + "\n{\"n\":3}");
  CHECK(encoded(lines.batch) == "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
  CHECK(lines.count == 3);
  REQUIRE(lines.bad.size() == 2);
  CHECK(lines.bad[0] == lines.bad[1]);
  CHECK_THAT(lines.bad[0], Catch::StartsWith(bad + " | "));
  Batch one;
  JsonDecoder decoder;
  CHECK_FALSE(decoder.decode(bad, one));
}

TEST_CASE("a document that spans lines is bad on each of them") {
  Lines lines("{\"a\":1,\n\"b\":2}\n{\"c\":3}\n");
  CHECK(encoded(lines.batch) == "{\"c\":3}\n");
  REQUIRE(lines.bad.size() == 2);
  CHECK_THAT(lines.bad[0], Catch::Contains("byte 8: the line ends within the document"));
  CHECK_THAT(lines.bad[1], Catch::Contains("byte 1: '\"' where an object or a list of objects should follow"));
}

TEST_CASE("a byte order mark is skipped") {
  CHECK(round_trip("\xEF\xBB\xBF{\"a\":1}") == "{\"a\":1}\n");
  CHECK(Lines("\xEF\xBB\xBF{\"a\":1}\n{\"a\":2}").count == 2);
}

TEST_CASE("a decoder is as new after an error, and after a larger text") {
  JsonDecoder decoder;
  Batch batch;
  CHECK_FALSE(decoder.decode("{\"a\":[1,{\"b\":[2,", batch));
  REQUIRE(decoder.decode("{\"a\":\"" + std::string(100'000, 'x') + "\"}", batch));
  REQUIRE(decoder.decode("{\"c\":[]}", batch));
  REQUIRE(batch.size() == 2);
  CHECK(batch.records[1].fields.view()[0].value == Value::list({}));
}

TEST_CASE("strings that are not UTF-8 are mended when written") {
  std::string out;
  append_json_string(out,
                     "a\xFF"
                     "b\xC3\xA9\xC3");
  CHECK(out ==
        "\"a\xEF\xBF\xBD"
        "b\xC3\xA9\xEF\xBF\xBD\"");
  out.clear();
  append_json_string(out, std::string(5000, 'x') + "\"");
  CHECK(out == "\"" + std::string(5000, 'x') + "\\\"\"");
}

TEST_CASE("bytes are written as base64") {
  auto base64 = [](std::string_view raw) {
    std::string out;
    append_json(out, Value::bytes(raw));
    return out;
  };
  CHECK(base64("") == "\"\"");
  CHECK(base64("f") == "\"Zg==\"");
  CHECK(base64("fo") == "\"Zm8=\"");
  CHECK(base64("foo") == "\"Zm9v\"");
  CHECK(base64("\xFF\xFE\xFD\xFC") == "\"//79/A==\"");
}

TEST_CASE("a record is written as the hub's clients receive it") {
  Batch batch;
  Record& r = batch.append();
  r.device = "porch";
  r.time = Time{1'790'000'000'000'500us};
  r.fields.push(batch.arena(), "humidity", Value::real(50.0));
  r.meta.push(batch.arena(), "topic", Value::string("a/b"));
  std::string out;
  append_json_record(out, r);
  CHECK(out == R"({"device":"porch","time":1790000000000.5,"fields":{"humidity":50.0}})");
  out.clear();
  r.time = Time{-1'000'001us};
  append_json_record(out, r, true);
  CHECK(out == R"({"device":"porch","time":-1000.001,"kind":"telemetry","fields":{"humidity":50.0},"meta":{"topic":"a/b"}})");
}
