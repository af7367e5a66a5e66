#include <catch2/catch.hpp>

#include <limits>

#include "plugins/signalr/messagepack.h"
#include "plugins/signalr/protocol.h"

using namespace millrace::signalr;
using namespace std::string_literals;
using millrace::Value;
using nlohmann::json;

namespace {

std::string written(const Value& value) {
  std::string out;
  messagepack::append(out, value);
  return out;
}

json read(std::string_view bytes) {
  auto value = messagepack::read(bytes);
  REQUIRE(value.has_value());
  return *value;
}

std::string refusal(std::string_view bytes) {
  auto value = messagepack::read(bytes);
  REQUIRE(value.has_error());
  return value.error().what;
}

/// A message as it travels: its length in front.
std::string message(std::string_view body) {
  std::string out;
  messagepack::append_length(out, body.size());
  return out.append(body);
}

Message parsed(std::string_view body) {
  auto result = messagepack_protocol().parse(message(body));
  REQUIRE(result.has_value());
  REQUIRE(result->has_value());
  return **result;
}

std::string parse_error(std::string_view body) {
  auto result = messagepack_protocol().parse(message(body));
  REQUIRE(result.has_error());
  return result.error().what;
}

template <class Append>
std::string sent(Append append) {
  std::string out;
  append(out);
  return out;
}

}  // namespace

TEST_CASE("values are written in the shortest form of their type") {
  CHECK(written(Value::null()) == "\xC0");
  CHECK(written(Value::boolean(true)) == "\xC3");
  CHECK(written(Value::integer(127)) == "\x7F");
  CHECK(written(Value::integer(128)) == "\xCC\x80");
  CHECK(written(Value::integer(256)) == "\xCD\x01\x00"s);
  CHECK(written(Value::integer(65536)) == "\xCE\x00\x01\x00\x00"s);
  CHECK(written(Value::integer(std::int64_t{1} << 32)) == "\xCF\x00\x00\x00\x01\x00\x00\x00\x00"s);
  CHECK(written(Value::integer(-32)) == "\xE0");
  CHECK(written(Value::integer(-33)) == "\xD0\xDF");
  CHECK(written(Value::integer(-129)) == "\xD1\xFF\x7F");
  CHECK(written(Value::integer(-32769)) == "\xD2\xFF\xFF\x7F\xFF");
  CHECK(written(Value::integer(std::numeric_limits<std::int64_t>::min())) == "\xD3\x80\x00\x00\x00\x00\x00\x00\x00"s);
  CHECK(written(Value::real(1.5)) == "\xCB\x3F\xF8\x00\x00\x00\x00\x00\x00"s);
  CHECK(written(Value::string("é")) == "\xA2\xC3\xA9");
  CHECK(written(Value::string(std::string(32, 'a'))) == "\xD9\x20" + std::string(32, 'a'));
  CHECK(written(Value::string(std::string(256, 'a'))) == "\xDA\x01\x00"s + std::string(256, 'a'));
  CHECK(written(Value::bytes("\x00\xFF"s)) == "\xC4\x02\x00\xFF"s);
  std::vector<Value> list(16, Value::null());
  CHECK(written(Value::list(list)) == "\xDC\x00\x10"s + std::string(16, '\xC0'));
}

TEST_CASE("what is written is read again as it was") {
  json value = {{"a", {1, -1, 300, -300, 70000, -70000, 5'000'000'000, -5'000'000'000, 0.1}},
                {"text", std::string(70'000, 't')},
                {"nothing", nullptr},
                {"yes", true},
                {"bytes", json::binary({1, 2, 3})},
                {"time", json::binary({0x38, 0x6D, 0x43, 0x80}, messagepack::timestamp)},
                {"many", std::vector<int>(70'000, 7)}};
  std::string out;
  messagepack::append(out, value);
  CHECK(read(out) == value);
  CHECK(read("\xCA\x3F\xC0\x00\x00"s) == 1.5);
  CHECK(read("\x81\x05\xC0"s) == json{{"5", nullptr}});
}

TEST_CASE("what is not one whole value is refused") {
  CHECK(refusal("") == "A MessagePack value is cut off.");
  CHECK(refusal("\xA5"
                "abc") == "A MessagePack value is cut off.");
  CHECK(refusal("\xDD\xFF\xFF\xFF\xFF") == "A MessagePack list is cut off.");
  CHECK(refusal("\xDF\x00\x00\x00\x01\xC0"s) == "A MessagePack map is cut off.");
  CHECK(refusal("\xC6\xFF\xFF\xFF\xFF") == "A MessagePack value is cut off.");
  CHECK(refusal("\xA1\xFF") == "A MessagePack text is not UTF-8.");
  CHECK(refusal("\xC1") == "A MessagePack value has a type that does not exist.");
  CHECK(refusal("\x81\xC0\xC0") == "The name of a MessagePack map's field is no text.");
  CHECK(refusal("\x01\x02") == "There are bytes behind a MessagePack value.");
  CHECK(messagepack::read(std::string(64, '\x91') + '\x90', 65).has_value());
  CHECK(refusal(std::string(64, '\x91') + '\x90') == "A MessagePack value nests too deep.");
}

TEST_CASE("a length takes seven bits a byte, five bytes at most") {
  for (std::size_t length : {0U, 1U, 127U, 128U, 16383U, 16384U, 0x7FFFFFFFU}) {
    auto text = sent([&](std::string& out) { messagepack::append_length(out, length); });
    auto back = messagepack::read_length(text);
    CHECK(back.value == length);
    CHECK(back.prefix == text.size());
    CHECK(messagepack::read_length(text.substr(0, text.size() - 1)).prefix == 0);
  }
  CHECK(sent([](std::string& out) { messagepack::append_length(out, 128); }) == "\x80\x01");
  CHECK(messagepack::read_length("\xFF\xFF\xFF\xFF\x07").value == 0x7FFFFFFF);
  CHECK(messagepack::read_length("\xFF\xFF\xFF\xFF\x08").malformed);
  CHECK(messagepack_protocol().parse("\xFF\xFF\xFF\xFF\x08").has_error());
  CHECK(messagepack_protocol().cut("\x02\x91").size == 0);
  CHECK(messagepack_protocol().cut("\x02\x91\x06\x02").size == 3);
  CHECK(messagepack_protocol().cut("\xFF\xFF\x7F").payload == 0x1FFFFF);
}

TEST_CASE("invocations have five places or six, and may have more") {
  for (auto rest : {"\x95\x01\x80\xA1"
                    "7\xA2Go\x91\x05",
                    "\x96\x01\x80\xA1"
                    "7\xA2Go\x91\x05\x90",
                    "\x97\x01\x80\xA1"
                    "7\xA2Go\x91\x05\xC0\xC3"}) {
    auto call = parsed(rest);
    CHECK(call.type == MessageType::invocation);
    CHECK(call.invocation == "7");
    CHECK(call.target == "Go");
    CHECK(call.arguments == json{5});
    CHECK(call.streams.empty());
  }
  CHECK_FALSE(parsed("\x95\x01\x81\xA1h\xA1v\xC0\xA2Go\x90").invocation);
  CHECK(parsed("\x96\x04\x80\xA1"
               "7\xA2Go\x90\x92\xA1"
               "8\xA1"
               "9")
            .streams == std::vector<std::string>{"8", "9"});
}

TEST_CASE("the other MessagePack messages are read") {
  CHECK(parsed("\x94\x02\x80\xA1"
               "1\x05")
            .item == 5);
  CHECK(parsed("\x95\x03\x80\xA1"
               "1\x01\xA2no")
            .error == "no");
  CHECK(parsed("\x94\x03\x80\xA1"
               "1\x02")
            .item.is_null());
  CHECK(parsed("\x95\x03\x80\xA1"
               "1\x03\x05")
            .item == 5);
  CHECK(parsed("\x93\x05\x80\xA1"
               "1")
            .invocation == "1");
  CHECK(parsed("\x91\x06").type == MessageType::ping);
  CHECK(parsed("\x92\x07\xC0").type == MessageType::close);
  auto unknown = messagepack_protocol().parse(message("\x91\x63"));
  REQUIRE(unknown.has_value());
  CHECK_FALSE(unknown->has_value());
}

TEST_CASE("malformed MessagePack messages are refused with a reason") {
  CHECK(parse_error("\x80") == "A message is not a MessagePack list.");
  CHECK(parse_error("\x90") == "A message is not a MessagePack list.");
  CHECK(parse_error("\x91\xA1x") == "Expected a message to begin with its type.");
  CHECK(parse_error("\x94\x01\x80\xC0\xA2Go") == "Expected the arguments as a list in a message.");
  CHECK(parse_error("\x95\x01\x80\x07\xA2Go\x90") == "Expected an invocation id in a message.");
  CHECK(parse_error("\x95\x01\x80\xC0\x07\x90") == "Expected the target as a text in a message.");
  CHECK(parse_error("\x96\x01\x80\xC0\xA2Go\x90\x91\x07") == "Expected the stream ids as texts in a message.");
  CHECK(parse_error("\x95\x03\x80\xA1"
                    "1\x09\xC0") == "Expected a kind of completion that exists in a message.");
}

TEST_CASE("messages to MessagePack clients have the places of their type") {
  const Protocol& p = messagepack_protocol();
  json bytes = json::binary({1, 2}), arguments = {1};
  CHECK(sent([&](auto& out) { p.append_ping(out); }) == "\x02\x91\x06");
  CHECK(sent([&](auto& out) { p.append_close(out, "", true); }) == "\x04\x93\x07\xC0\xC3");
  CHECK(sent([&](auto& out) { p.append_close(out, "no", false); }) == "\x06\x93\x07\xA2no\xC2");
  CHECK(sent([&](auto& out) { p.append_completion(out, "1", nullptr); }) ==
        "\x06\x94\x03\x80\xA1"
        "1\x02");
  CHECK(sent([&](auto& out) { p.append_completion(out, "1", &bytes); }) ==
        "\x0A\x95\x03\x80\xA1"
        "1\x03\xC4\x02\x01\x02");
  CHECK(sent([&](auto& out) { p.append_error(out, "1", "no"); }) ==
        "\x09\x95\x03\x80\xA1"
        "1\x01\xA2no");
  CHECK(sent([&](auto& out) { p.append_invocation(out, "", "t", arguments); }) == "\x09\x96\x01\x80\xC0\xA1t\x91\x01\x90");
  CHECK(sent([&](auto& out) { p.append_invocation(out, "s1", "t", arguments); }) == "\x0B\x96\x01\x80\xA2s1\xA1t\x91\x01\x90");
  CHECK(sent([&](auto& out) { p.append_stream_item(out, "s", bytes); }) == "\x09\x94\x02\x80\xA1s\xC4\x02\x01\x02");
}

TEST_CASE("records of a turn share one MessagePack invocation in one binary frame") {
  std::vector<Encoded> records{{"", "\x01"}, {"", "\x02"}};
  const Protocol& p = messagepack_protocol();
  CHECK(sent([&](auto& out) { p.append_records(out, "t", records); }) ==
        "\x82\x0C\x0B\x96\x01\x80\xC0\xA1t\x91\x92\x01\x02\x90");
  CHECK(sent([&](auto& out) { p.append_event(out, "t", {"", "\x80"}); }) == "\x82\x0A\x09\x96\x01\x80\xC0\xA1t\x91\x80\x90");
  CHECK(sent([&](auto& out) { p.append_completion(out, "1", records); }) ==
        "\x09\x95\x03\x80\xA1"
        "1\x03\x92\x01\x02");
}

TEST_CASE("bytes and timestamps become texts in JSON") {
  json value = {json::binary({1, 2, 3}), json::binary({0x38, 0x6D, 0x43, 0x80}, messagepack::timestamp),
                json::binary({0, 0, 0, 0, 0x38, 0x6D, 0x43, 0x80}, messagepack::timestamp), json::binary({7}, 5)};
  CHECK(sent([&](auto& out) { json_protocol().append_completion(out, "1", &value); }) ==
        R"({"type":3,"invocationId":"1","result":["AQID","2000-01-01T00:00:00Z","2000-01-01T00:00:00Z","Bw=="]})"
        "\x1e");
  std::array<std::uint8_t, 12> before{0x1D, 0xCD, 0x65, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  CHECK(messagepack::timestamp_text(before) == "1969-12-31T23:59:59.5Z");
  CHECK_FALSE(messagepack::timestamp_text(std::span(before).first(5)));
}
