#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "plugins/push/digest.h"
#include "plugins/push/message.h"
#include "plugins/push/outcome.h"
#include "plugins/push/queue.h"
#include "plugins/push/target.h"

using namespace millrace;
using namespace millrace::push;
using nlohmann::json;

namespace {

Record& alert(Batch& batch) {
  Arena& arena = batch.arena();
  Record& r = batch.append();
  r.kind = kind::notification;
  r.device = "porch";
  r.time = from_millis(1'790'000'000'000);
  r.fields.push(arena, "incident", Value::string("p/climate/humidity-jump/porch#1"));
  r.fields.push(arena, "rule", Value::string("humidity-jump"));
  r.fields.push(arena, "key", Value::string("porch"));
  r.fields.push(arena, "to", Value::string("FIRING"));
  r.fields.push(arena, "level", Value::string("critical"));
  r.fields.push(arena, "value", Value::real(12.345));
  r.fields.push(arena, "message", Value::string("humidity up"));
  r.fields.push(arena, "id", Value::string("n1"));
  return r;
}

std::string filled(std::string_view text) {
  Batch batch;
  return Template::parse(text).value().fill(alert(batch));
}

Parcel parcel(std::string id, std::size_t target, std::string thread, Time next = {}) {
  Parcel p;
  p.id = std::move(id);
  p.target = target;
  p.message.thread = std::move(thread);
  p.next_try = next;
  return p;
}

std::vector<std::string> ids(const std::vector<Parcel*>& parcels) {
  std::vector<std::string> out;
  for (Parcel* p : parcels) out.push_back(p->id);
  return out;
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("a template takes the record's fields") {
  CHECK(filled("{key}: {value:.1f} points") == "porch: 12.3 points");
  CHECK(filled("{value} {value:.0} {rule:.2f} {missing}|{device} {kind}") == "12.345 12 humidity-jump |porch notification");
  CHECK(filled("{{{key}}} at {time}") == "{porch} at 2026-09-21 14:13:20 UTC");
}

TEST_CASE("a template that cannot be meant is refused") {
  auto why = [](std::string_view text) { return Template::parse(text).error().what; };
  CHECK(why("a {key") == "a lone '{' at character 3; a brace itself is written twice");
  CHECK(why("a } b") == "a lone '}' at character 3; a brace itself is written twice");
  CHECK(why("{}") == "'{}' at character 1 names no field");
  CHECK(why("{value:>10}") == "'>10' after 'value' is no way to write a number; '.1f' is");
}

TEST_CASE("a message survives the history as it is") {
  Batch batch;
  Message message = Message::from(alert(batch), Template{}, Template{}, "phone");
  CHECK(message.title == "porch: humidity-jump");
  CHECK(message.text == "humidity up");
  Message loaded = Message::load(message.save()).value();
  CHECK(loaded.save() == message.save());
  CHECK(loaded.notification == "n1");
  CHECK(Message::load("{}").has_error());
  CHECK(Message::load("no json").has_error());
}

TEST_CASE("an ordinary record is a message too, its identity its content") {
  Batch batch;
  Record& r = batch.append();
  r.device = "porch";
  r.fields.push(batch.arena(), "humidity", Value::integer(80));
  Message message = Message::from(r, Template{}, Template{}, "phone");
  CHECK(message.title == "porch");
  CHECK(message.text == "{\"humidity\":80}");
  CHECK(Message::from(r, Template{}, Template{}, "phone").notification == message.notification);
  r.fields.set(batch.arena(), "humidity", Value::integer(81));
  CHECK(Message::from(r, Template{}, Template{}, "phone").notification != message.notification);
}

TEST_CASE("a webhook gets the alert as JSON, with an id and a signature that can be checked") {
  Batch batch;
  Message message = Message::from(alert(batch), Template{}, Template{}, "phone");
  Target target = Target::parse("http://ann:p%40ss@127.0.0.1:9/hook/token?k=v").value();
  Request request = target.request(message, "d1", from_millis(5500), "sesame");
  CHECK(request.url == "http://127.0.0.1:9/hook/token?k=v");
  CHECK(request.loopback);
  json body = json::parse(request.body);
  CHECK(body == json::parse(R"({"id":"d1","notification":"n1","title":"porch: humidity-jump","message":"humidity up",
      "device":"porch","time":1790000000000,"state":"FIRING","to":"FIRING","incident":"p/climate/humidity-jump/porch#1",
      "rule":"humidity-jump","key":"porch","level":"critical","value":12.345})"));
  CHECK(request.headers == std::vector<std::string>{"Content-Type: application/json", "Idempotency-Key: d1",
                                                    "Authorization: Basic YW5uOnBAc3M=",
                                                    "X-Millrace-Signature: t=5,v1=" + hmac_of("sesame", "5." + request.body)});
}

TEST_CASE("HMAC-SHA-256 agrees with RFC 4231, test case 2") {
  CHECK(hmac_of("Jefe", "what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("ntfy gets its own JSON at the server's root") {
  Batch batch;
  Message message = Message::from(alert(batch), Template{}, Template{}, "phone");
  Request request = Target::parse("ntfys://tk_x@ntfy.example:8443/devkit").value().request(message, "d1", {}, "sesame");
  CHECK(request.url == "https://ntfy.example:8443/");
  CHECK_FALSE(request.loopback);
  CHECK(json::parse(request.body) == json::parse(R"({"topic":"devkit","title":"porch: humidity-jump","message":"humidity up",
      "priority":5,"tags":["rotating_light"]})"));
  CHECK(request.headers.back() == "Authorization: Bearer tk_x");
  message.type = "resolved";
  message.text = std::string(3995, 'x') + "ééééé";
  json resolved = json::parse(Target::parse("ntfy://127.0.0.1/devkit").value().request(message, "d1", {}, "").body);
  CHECK(resolved["priority"] == 3);
  CHECK(resolved["tags"][0] == "white_check_mark");
  CHECK(resolved["message"].get<std::string>() == std::string(3995, 'x') + "é...");
}

TEST_CASE("a target that nobody can reach is refused, without repeating it") {
  auto why = [](std::string_view text) { return Target::parse(text).error().what; };
  constexpr auto channels = "this version has the channels http://, https://, ntfy:// and ntfys://";
  CHECK(why("webpush:") == std::string("the channel 'webpush:' is not available; ") + channels);
  CHECK(why("secret-token") == std::string("a target without a channel; ") + channels);
  for (std::string_view text : {"http://h:0/", "http://h:70000/", "ntfy://h:65536/t"})
    CHECK_THAT(why(text), Catch::Contains("is no port: 1 to 65535"));
  CHECK(why("https:/secret") == "a target that begins with 'https:' is not a whole URL: https://HOST/... was expected");
  CHECK(why("https://secret token/") == "a target that begins with 'https:' is not a whole URL: https://HOST/... was expected");
  for (std::string_view text : {"ntfy://u:secret@h/", "ntfy://u:secret@h/a/secret", "ntfy://u:secret@h/sec%20ret"})
    CHECK(why(text) == "ntfy://h: ntfy://HOST/TOPIC was expected, the topic of up to 64 letters, digits, '-' and '_'");
}

TEST_CASE("what a target shows of itself holds no secret") {
  Target target = Target::parse("https://ann:password@host:81/hook/token?key=value#part").value();
  CHECK(target.display() == "https://host:81");
  CHECK(target.harmless("Cannot POST /hook/token") == "");
  CHECK(target.harmless("no such key=value") == "");
  CHECK(target.harmless("busy") == "busy");
  CHECK(target.key() != Target::parse("https://ann:password@host:81/hook/other").value().key());
}

TEST_CASE("every status has its outcome") {
  for (long status : {200, 201, 202, 204}) CHECK(classify(status) == Outcome::accepted);
  for (long status : {301, 308, 404, 410}) CHECK(classify(status) == Outcome::target_dead);
  for (long status : {400, 405, 413, 415, 422}) CHECK(classify(status) == Outcome::message_bad);
  for (long status : {401, 403}) CHECK(classify(status) == Outcome::credentials);
  CHECK(classify(429) == Outcome::throttled);
  for (long status : {0, 302, 307, 408, 425, 500, 502, 503, 504}) CHECK(classify(status) == Outcome::transient);
}

TEST_CASE("pauses double up to their limit, and are spread") {
  RetryPlan plan{1s, 8s, 1h};
  for (std::uint32_t attempt = 1; attempt <= 40; ++attempt) {
    Duration ceiling = std::min<Duration>(8s, 1s * (std::int64_t{1} << std::min(attempt - 1, 10U)));
    Duration least = ceiling, most{};
    for (int i = 0; i < 200; ++i) {
      Duration pause = pause_before(plan, "id" + std::to_string(i), attempt);
      least = std::min(least, pause);
      most = std::max(most, pause);
    }
    CHECK(least < ceiling / 10);
    CHECK(most > ceiling * 9 / 10);
    CHECK(most <= ceiling);
  }
  CHECK(pause_before(plan, "x", 3) == pause_before(plan, "x", 3));
}

TEST_CASE("Retry-After is read in seconds and as a date") {
  Time now = from_millis(784'111'777'000);  // Sun, 06 Nov 1994 08:49:37 GMT
  CHECK(parse_retry_after("120", now) == Duration(120s));
  CHECK(parse_retry_after("0", now) == Duration(0s));
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now) == Duration(30s));
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now) == Duration(0s));
  for (auto bad : {"", "soon", "-1", "1.5", "99999999999999999999"}) CHECK_FALSE(parse_retry_after(bad, now));
}

TEST_CASE("of one thread only the oldest message goes to a target; others overtake it") {
  Queue queue;
  CHECK(queue.add(parcel("a1", 0, "a", from_millis(500))));
  CHECK(queue.add(parcel("a2", 0, "a")));
  CHECK(queue.add(parcel("b1", 0, "b")));
  CHECK(queue.add(parcel("a3", 1, "a")));
  CHECK_FALSE(queue.add(parcel("a1", 0, "a")));
  CHECK(ids(queue.due(from_millis(0), 10)) == Ids{"b1", "a3"});
  CHECK(ids(queue.due(from_millis(0), 1)) == Ids{"b1"});
  queue.find("b1")->under_way = true;
  queue.find("a3")->under_way = true;
  CHECK(queue.next_due() == from_millis(500));
  CHECK(ids(queue.due(from_millis(500), 10)) == Ids{"a1"});
  queue.remove("a1");
  CHECK(ids(queue.due(from_millis(500), 10)) == Ids{"a2"});
  queue.pause(0, from_millis(900));
  CHECK(queue.due(from_millis(899), 10).empty());
  CHECK(queue.next_due() == from_millis(900));
}
