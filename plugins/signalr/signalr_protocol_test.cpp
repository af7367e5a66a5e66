#include <catch2/catch.hpp>

#include "plugins/signalr/handshake.h"
#include "plugins/signalr/negotiate.h"
#include "plugins/signalr/protocol.h"

using namespace millrace::signalr;

namespace {

Message parsed(std::string_view text) {
  auto message = json_protocol().parse(text);
  REQUIRE(message.has_value());
  REQUIRE(message->has_value());
  return **message;
}

std::string refusal(std::string_view text) {
  auto message = json_protocol().parse(text);
  REQUIRE(message.has_error());
  return message.error().what;
}

millrace::http::Request negotiate(std::string query) {
  return {.method = "POST", .path = "/hub/negotiate", .query = std::move(query)};
}

}  // namespace

TEST_CASE("an invocation is read with its members in any order") {
  auto message = parsed(R"({"arguments":[1,"two",null],"headers":{"a":"b"},"target":"Go","invocationId":"7","type":1,"new":{}})"
                        "\x1e");
  CHECK(message.type == MessageType::invocation);
  CHECK(message.target == "Go");
  CHECK(message.invocation == "7");
  CHECK(message.arguments.dump() == R"([1,"two",null])");
  CHECK_FALSE(parsed(R"({"type":1,"target":"Go","arguments":[]})").invocation);
  CHECK(parsed(R"({"type":1,"target":"Go","arguments":[],"streamIds":["1","2"]})").streams.size() == 2);
}

TEST_CASE("the other message types are read") {
  CHECK(parsed(R"({"type":6})").type == MessageType::ping);
  CHECK(parsed(R"({"type":7,"error":"bye"})").error == "bye");
  CHECK(parsed(R"({"type":3,"invocationId":"1","result":[1]})").item.dump() == "[1]");
  CHECK(parsed(R"({"type":2,"invocationId":"1","item":5})").item == 5);
  CHECK(parsed(R"({"type":5,"invocationId":"1"})").invocation == "1");
  auto unknown = json_protocol().parse(R"({"type":99})");
  REQUIRE(unknown.has_value());
  CHECK_FALSE(unknown->has_value());
}

TEST_CASE("malformed messages are refused with a reason") {
  CHECK(refusal("nonsense") == "A message is not a JSON object.");
  CHECK(refusal("[1]") == "A message is not a JSON object.");
  CHECK(refusal(R"({"type":1,"target":"Go","arguments":[})") == "A message is not a JSON object.");
  CHECK(refusal("{}") == "Expected 'type' to be an integer.");
  CHECK(refusal(R"({"type":"1"})") == "Expected 'type' to be an integer.");
  CHECK(refusal(R"({"type":1,"arguments":[]})") == "Expected 'target' to be a text.");
  CHECK(refusal(R"({"type":1,"target":"Go"})") == "Expected 'arguments' to be a list.");
  CHECK(refusal(R"({"type":1,"target":"Go","arguments":[],"invocationId":5})") == "Expected 'invocationId' to be a text.");
  CHECK(refusal(R"({"type":1,"target":"Go","arguments":[],"streamIds":[5]})") == "Expected 'streamIds' to be a list of texts.");
  CHECK(refusal(R"({"type":5})") == "Expected 'invocationId' to be a text.");
  CHECK(refusal(R"({"type":1,"target":"Go","arguments":)" + std::string(100, '[') + std::string(100, ']') + "}") ==
        "A message is not a JSON object.");
}

TEST_CASE("messages to clients have exactly the members of their type") {
  std::string out;
  const Protocol& json = json_protocol();
  json.append_ping(out);
  json.append_close(out, "", true);
  json.append_close(out, "why \"so\"", false);
  json.append_completion(out, "1", nullptr);
  nlohmann::json result = {nullptr}, arguments = {1};
  json.append_completion(out, "2", &result);
  json.append_error(out, "3", "no");
  json.append_invocation(out, "", "t", arguments);
  json.append_invocation(out, "s1", "t", arguments);
  json.append_stream_item(out, "4", result);
  CHECK(out ==
        "{\"type\":6}\x1e"
        "{\"type\":7,\"allowReconnect\":true}\x1e"
        "{\"type\":7,\"error\":\"why \\\"so\\\"\"}\x1e"
        "{\"type\":3,\"invocationId\":\"1\"}\x1e"
        "{\"type\":3,\"invocationId\":\"2\",\"result\":[null]}\x1e"
        "{\"type\":3,\"invocationId\":\"3\",\"error\":\"no\"}\x1e"
        "{\"type\":1,\"target\":\"t\",\"arguments\":[1]}\x1e"
        "{\"type\":1,\"invocationId\":\"s1\",\"target\":\"t\",\"arguments\":[1]}\x1e"
        "{\"type\":2,\"invocationId\":\"4\",\"item\":[null]}\x1e");
}

TEST_CASE("records of a turn share one invocation, and are lines of their own without SignalR") {
  std::vector<Encoded> records{{R"({"device":"a"})", "A"}, {R"({"device":"b"})", "B"}};
  std::string framed;
  json_protocol().append_records(framed, "telemetry", records);
  CHECK(framed.substr(2) == R"({"type":1,"target":"telemetry","arguments":[[{"device":"a"},{"device":"b"}]]})"
                            "\x1e");
  framed.clear();
  plain_protocol().append_records(framed, "telemetry", records);
  CHECK(framed == "\x81\x24{\"target\":\"telemetry\",\"device\":\"a\"}\n\x81\x24{\"target\":\"telemetry\",\"device\":\"b\"}\n");
  framed.clear();
  plain_protocol().append_event(framed, "alert", {"{}", ""});
  CHECK(framed == "\x81\x13{\"target\":\"alert\"}\n");
}

TEST_CASE("an event has each line of its text in a line of data, a body has messages as they are") {
  std::string framed;
  json_protocol(Framing::event_stream).append_framed(framed, "one\ntwo");
  CHECK(framed == "data: one\r\ndata: two\r\n\r\n");
  framed.clear();
  json_protocol(Framing::body).append_framed(framed, "one");
  messagepack_protocol(Framing::body).append_framed(framed, "two");
  CHECK(framed == "onetwo");
}

TEST_CASE("a handshake is accepted or refused in the words that clients know") {
  CHECK(read_handshake(R"({"protocol":"json","version":1})").response() == "{}\x1e");
  CHECK(read_handshake(R"({"version":2,"protocol":"json","more":1})").version == 2);
  CHECK(read_handshake(R"({"protocol":"messagepack","version":1})").protocol == &messagepack_protocol());
  CHECK(read_handshake(R"({"protocol":"json","version":1})", Framing::event_stream).protocol ==
        &json_protocol(Framing::event_stream));
  CHECK(read_handshake(R"({"protocol":"messagepack","version":1})", Framing::event_stream).error ==
        "Cannot use the 'messagepack' protocol on the current transport. The transport does not support 'Binary' transfer "
        "format.");
  auto error = [](std::string_view text) { return read_handshake(text).error; };
  CHECK(error(R"({"protocol":"xml","version":1})") == "The protocol 'xml' is not supported.");
  CHECK(error(R"({"protocol":"json","version":9})") == "The server does not support version 9 of the 'json' protocol.");
  CHECK(error("") == "An unexpected error occurred during connection handshake. The request is not a JSON object.");
  CHECK(error(R"({"version":1})") ==
        "An unexpected error occurred during connection handshake. Expected 'protocol' to be a text.");
  CHECK(error(R"({"protocol":"json","version":"1"})") ==
        "An unexpected error occurred during connection handshake. Expected 'version' to be an integer.");
  CHECK(cancelled_handshake().response() == "{\"error\":\"Handshake was canceled.\"}\x1e");
}

TEST_CASE("negotiate clamps the version and words its errors") {
  CHECK(read_negotiation(negotiate("")).version == 0);
  CHECK(read_negotiation(negotiate("NegotiateVersion=1&x=y")).version == 1);
  CHECK(read_negotiation(negotiate("negotiateVersion=7")).version == 1);
  CHECK(negotiation_body(read_negotiation(negotiate("negotiateVersion=one")), "", "") ==
        R"({"error":"The client requested an invalid protocol version 'one'"})");
  CHECK(negotiation_body(read_negotiation(negotiate("negotiateVersion=-1")), "", "") ==
        R"({"error":"The client requested version '-1', but the server does not support this version."})");
  CHECK(
      negotiation_body({.version = 1}, "I", "T") ==
      R"({"negotiateVersion":1,"connectionId":"I","connectionToken":"T","availableTransports":[{"transport":"WebSockets","transferFormats":["Text","Binary"]},)"
      R"({"transport":"ServerSentEvents","transferFormats":["Text"]},{"transport":"LongPolling","transferFormats":["Text","Binary"]}]})");
  CHECK(negotiation_body({}, "I", "I", {.websockets = false, .server_sent_events = false})
            .ends_with(R"("availableTransports":[{"transport":"LongPolling","transferFormats":["Text","Binary"]}]})"));
  CHECK(negotiation_body({.version = 0}, "I", "I").find("connectionToken") == std::string::npos);
}

TEST_CASE("ids are 16 random bytes in base64url") {
  auto one = random_id(), two = random_id();
  CHECK(one.size() == 22);
  CHECK(one != two);
  CHECK(one.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos);
}
