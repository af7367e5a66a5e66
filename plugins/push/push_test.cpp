#include "plugins/push/push.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "runner/config/plugin.h"
#include "tests/support/http_receiver.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin push_plugin();
}

using namespace millrace;
using nlohmann::json;
using test::HttpReceiver;

namespace {

using Request = HttpReceiver::Request;
using Response = HttpReceiver::Response;

/// A push stage on a clock of its own, over a history in memory that outlives it.
struct Stage {
  std::unique_ptr<store::Store> history = store::Store::in_memory().value();
  std::shared_ptr<test::TestHost> host = test::TestHost::make("phone");
  push::Push::Config config;
  std::unique_ptr<push::Push> push;

  explicit Stage(std::vector<std::string> to) {
    host->provide(*history);
    host->time.set(from_millis(1'000'000));
    config.to = std::move(to);
    start();
  }

  void start() {
    push = std::make_unique<push::Push>(config, host->context());
    REQUIRE(push->connect());
  }

  Time now() const { return host->time.now(); }

  void notify(std::string_view id, std::string_view key = "porch", std::string_view link = "phone") {
    Batch batch;
    Arena& arena = batch.arena();
    Record& r = batch.append();
    r.kind = kind::notification;
    r.device = arena.copy(key);
    r.fields.push(arena, "rule", Value::string("humidity-jump"));
    r.fields.push(arena, "key", Value::string(arena.copy(key)));
    r.fields.push(arena, "message", Value::string("humidity up"));
    r.fields.push(arena, "id", Value::string(arena.copy(id)));
    r.meta.push(arena, "link", Value::string(arena.copy(link)));
    REQUIRE(push->write(batch));
  }

  /// Lets the replies under way come in, until `done` holds.
  template <class F>
  void run_until(F done) {
    while (!done()) {
      REQUIRE(host->wait_for_wake());
      REQUIRE(push->tick(now()));
    }
  }

  /// Moves the clock to the stage's next deadline and ticks it.
  void advance() {
    REQUIRE(push->next_tick());
    host->time.set(std::max(now(), *push->next_tick()));
    REQUIRE(push->tick(now()));
  }

  std::uint64_t count(std::string_view name) { return host->counter(name).value(); }
  std::vector<store::Delivery> pending() { return history->pending_deliveries("test", "phone").value(); }
};

HttpReceiver::Answer statuses(std::vector<int> in_order) {
  return [in_order](const Request&, std::size_t i) { return Response{in_order[std::min(i, in_order.size() - 1)]}; };
}

}  // namespace

TEST_CASE("a notification reaches each target once, and its row is done") {
  HttpReceiver webhook, ntfy;
  Stage stage({webhook.url("/hook"), "ntfy://127.0.0.1:" + std::to_string(ntfy.port()) + "/devkit"});
  stage.notify("n1");
  stage.run_until([&] { return stage.count("delivered") == 2; });
  REQUIRE(webhook.requests().size() == 1);
  REQUIRE(ntfy.requests().size() == 1);
  Request got = webhook.requests()[0];
  CHECK(got.method == "POST");
  CHECK(got.path == "/hook");
  CHECK(got.headers["content-type"] == "application/json");
  json body = json::parse(got.body);
  CHECK(body["id"] == got.headers["idempotency-key"]);
  CHECK(body["notification"] == "n1");
  CHECK(body["message"] == "humidity up");
  CHECK(json::parse(ntfy.requests()[0].body)["topic"] == "devkit");
  CHECK(ntfy.requests()[0].path == "/");
  CHECK(stage.pending().empty());
  CHECK_FALSE(stage.push->next_tick());
}

TEST_CASE("an answer's status counts, however long its body") {
  HttpReceiver webhook([](const Request&, std::size_t) { return Response{200, {}, std::string(8U << 20U, 'x')}; });
  Stage stage({webhook.url("/hook")});
  stage.notify("n1");
  stage.run_until([&] { return stage.count("delivered") + stage.count("failed_attempts") == 1; });
  CHECK(stage.count("delivered") == 1);
  CHECK(webhook.requests().size() == 1);
}

TEST_CASE("failures are tried again with the same id, until success") {
  HttpReceiver webhook([](const Request&, std::size_t i) {
    Response response;
    response.status = i < 3 ? 500 : 200;
    response.hang_up = i == 1;
    return response;
  });
  Stage stage({webhook.url("/hook")});
  stage.notify("n1");
  for (std::uint64_t failures = 1; failures <= 3; ++failures) {
    stage.run_until([&] { return stage.count("failed_attempts") == failures; });
    auto rows = stage.pending();
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].attempts == failures);
    CHECK(rows[0].next_try_ms <= to_whole_millis(stage.now()) + (1000 << (failures - 1)));
    CHECK(stage.count("delivered") == 0);
    stage.advance();
  }
  stage.run_until([&] { return stage.count("delivered") == 1; });
  std::set<std::string> seen;
  for (Request& r : webhook.requests()) seen.insert(r.headers["idempotency-key"]);
  CHECK(webhook.requests().size() == 4);
  CHECK(seen.size() == 1);
  CHECK(stage.pending().empty());
}

TEST_CASE("a target that throttles is left alone for as long as it asks, others are not") {
  HttpReceiver busy([](const Request&, std::size_t i) { return i == 0 ? Response{429, {"Retry-After: 120"}} : Response{}; });
  HttpReceiver other;
  Stage stage({busy.url(), other.url()});
  Time start = stage.now();
  stage.notify("n1");
  stage.run_until([&] { return stage.count("failed_attempts") == 1 && stage.count("delivered") == 1; });
  stage.notify("n2", "cellar");  // another thread, the same target
  stage.run_until([&] { return stage.count("delivered") == 2; });
  CHECK(busy.requests().size() == 1);
  CHECK(stage.push->next_tick() == start + 120s);
  stage.host->time.set(start + 119'999ms);
  REQUIRE(stage.push->tick(stage.now()));
  stage.advance();
  stage.run_until([&] { return stage.count("delivered") == 4; });
  CHECK(busy.requests().size() == 3);
}

TEST_CASE("Retry-After may be a date, and comes with other answers too") {
  HttpReceiver busy([](const Request&, std::size_t i) {
    return i == 0 ? Response{503, {"Retry-After: Thu, 01 Jan 1970 00:17:10 GMT"}} : Response{};
  });
  Stage stage({busy.url()});
  stage.notify("n1");
  stage.run_until([&] { return stage.count("failed_attempts") == 1; });
  CHECK(stage.push->next_tick() == from_millis(1'030'000));
}

TEST_CASE("a target that asks to wait for years loses the message, not its place") {
  HttpReceiver busy([](const Request&, std::size_t i) {
    return i == 0 ? Response{429, {"Retry-After: 4000000000"}} : Response{};
  });
  Stage stage({busy.url()});
  Time start = stage.now();
  stage.notify("n1");
  stage.run_until([&] { return stage.count("given_up") == 1; });
  CHECK_THAT(stage.host->rejects.at(0).what, Catch::EndsWith("asks to wait for longer than the message is kept"));
  stage.notify("n2");
  CHECK(stage.push->next_tick() == start + 24h);
  stage.advance();
  stage.run_until([&] { return stage.count("delivered") == 1; });
}

TEST_CASE("what will never be taken ends in the dead letters, and tells no secret") {
  int status = GENERATE(400, 413, 404, 410, 301);
  HttpReceiver webhook([status](const Request& r, std::size_t) {
    return Response{status, {"Location: /elsewhere"}, "Cannot POST " + r.path};
  });
  Stage stage({webhook.url("/hook/s3cret")});
  stage.notify("n1");
  stage.run_until([&] { return stage.count("given_up") == 1; });
  REQUIRE(stage.host->rejects.size() == 1);
  CHECK(stage.host->rejects[0].device == "porch");
  CHECK(stage.host->rejects[0].what ==
        "http://127.0.0.1:" + std::to_string(webhook.port()) + ": answered " + std::to_string(status));
  CHECK(stage.pending().empty());
  CHECK_FALSE(stage.push->next_tick());
  CHECK(webhook.requests().size() == 1);
}

TEST_CASE("a message is given up when its time is over") {
  HttpReceiver webhook(statuses({500}));
  Stage stage({webhook.url()});
  Time start = stage.now();
  stage.notify("n1");
  std::uint64_t failures = 0;
  stage.run_until([&] { return stage.count("failed_attempts") > failures; });
  while (stage.count("given_up") == 0) {
    failures = stage.count("failed_attempts");
    stage.advance();
    stage.run_until([&] { return stage.count("failed_attempts") > failures; });
  }
  CHECK(stage.now() == start + 24h);
  CHECK_THAT(stage.host->rejects.at(0).what, Catch::EndsWith("answered 500; given up after 1d"));
}

TEST_CASE("a target that refuses our credentials pauses, and the operator is told once") {
  HttpReceiver webhook(statuses({401, 403, 200}));
  Stage stage({webhook.url("/hook/s3cret")});
  Time start = stage.now();
  stage.notify("n1");
  stage.run_until([&] { return stage.count("failed_attempts") == 1; });
  CHECK(stage.push->next_tick() == start + 5min);
  stage.advance();
  stage.run_until([&] { return stage.count("failed_attempts") == 2; });
  auto told = stage.host->logs();
  REQUIRE(told.size() == 1);
  CHECK_THAT(told[0], Catch::Contains("refuses our user, password or token") && !Catch::Contains("s3cret"));
  stage.advance();
  stage.run_until([&] { return stage.count("delivered") == 1; });
  CHECK(stage.host->logs().size() == 2);
}

TEST_CASE("the operator is told once that a target does not take messages, and once that it does again") {
  HttpReceiver webhook(statuses({500, 503, 200, 200, 500}));
  Stage stage({webhook.url("/hook/s3cret")});
  stage.notify("n1");
  stage.run_until([&] { return stage.count("failed_attempts") == 1; });
  stage.advance();
  stage.run_until([&] { return stage.count("failed_attempts") == 2; });
  auto told = stage.host->logs();
  REQUIRE(told.size() == 1);
  CHECK_THAT(told[0], Catch::Contains("answered 500") && Catch::Contains("tried again") && !Catch::Contains("s3cret"));
  stage.advance();
  stage.run_until([&] { return stage.count("delivered") == 1; });
  CHECK_THAT(stage.host->logs().at(1), Catch::Contains("takes messages again"));
  stage.notify("n2");
  stage.run_until([&] { return stage.count("delivered") == 2; });
  CHECK(stage.host->logs().size() == 2);
  stage.notify("n3");
  stage.run_until([&] { return stage.count("failed_attempts") == 3; });
  CHECK(stage.host->logs().size() == 3);
}

TEST_CASE("nobody listening is a failure like any other") {
  int port = HttpReceiver().port();
  Stage stage({"http://127.0.0.1:" + std::to_string(port) + "/"});
  stage.notify("n1");
  stage.run_until([&] { return stage.count("failed_attempts") == 1; });
  CHECK_FALSE(stage.pending().at(0).error.empty());
  CHECK(stage.push->next_tick());
}

TEST_CASE("what was not delivered goes out after a restart, with the same id") {
  HttpReceiver webhook(statuses({500, 200}));
  Stage stage({webhook.url()});
  stage.notify("n1");
  stage.run_until([&] { return stage.count("failed_attempts") == 1; });
  stage.push.reset();
  stage.host->time.set(stage.now() + 1h);
  stage.start();
  stage.run_until([&] { return stage.count("delivered") == 1; });
  auto requests = webhook.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].body == requests[1].body);
  CHECK(requests[0].headers["idempotency-key"] == requests[1].headers["idempotency-key"]);
  stage.push.reset();
  stage.start();
  CHECK_FALSE(stage.push->next_tick());
}

TEST_CASE("messages to a target that the file no longer names wait for it until their time is over") {
  HttpReceiver gone(statuses({500})), other;
  Stage stage({gone.url()});
  stage.notify("n1");
  stage.run_until([&] { return stage.count("failed_attempts") == 1; });
  stage.push.reset();
  stage.config.to = {other.url()};
  stage.start();
  REQUIRE(stage.push->tick(stage.now()));
  CHECK(stage.host->rejects.empty());
  CHECK(stage.pending().size() == 1);
  CHECK(stage.host->gauge("waiting").value() == 1);
  CHECK_THAT(stage.host->logs().back(), Catch::Contains("1 messages wait for targets that the stage no longer names"));
  stage.advance();
  CHECK(stage.now() == from_millis(1'000'000) + stage.config.retry.ttl);
  CHECK(other.requests().empty());
  REQUIRE(stage.host->rejects.size() == 1);
  CHECK_THAT(stage.host->rejects.at(0).what, Catch::EndsWith("the stage no longer names this target"));
  CHECK(stage.pending().empty());
}

TEST_CASE("a target that is named again gets what waited for it") {
  HttpReceiver back(statuses({500, 200})), other;
  Stage stage({back.url()});
  stage.notify("n1");
  stage.run_until([&] { return stage.count("failed_attempts") == 1; });
  for (const auto& to : {other.url(), back.url()}) {
    stage.push.reset();
    stage.config.to = {to};
    stage.start();
  }
  stage.advance();
  stage.run_until([&] { return stage.count("delivered") == 1; });
  CHECK(back.requests().size() == 2);
  CHECK(other.requests().empty());
}

TEST_CASE("a batch that comes again is not sent twice while it waits") {
  HttpReceiver webhook(statuses({500, 200}));
  Stage stage({webhook.url()});
  stage.notify("n1");
  stage.notify("n1");
  stage.run_until([&] { return stage.count("failed_attempts") == 1; });
  CHECK(stage.pending().size() == 1);
  stage.advance();
  stage.run_until([&] { return stage.count("delivered") == 1; });
  CHECK(webhook.requests().size() == 2);
}

TEST_CASE("a notification for another push stage is passed over") {
  HttpReceiver webhook;
  Stage stage({webhook.url()});
  stage.notify("n1", "porch", "mail");
  CHECK(stage.pending().empty());
  CHECK_FALSE(stage.push->next_tick());
}

TEST_CASE("when the input is over every message gets its first attempt") {
  HttpReceiver webhook;
  Stage stage({webhook.url()});
  for (int i = 0; i < 100; ++i) stage.notify("n" + std::to_string(i), "k" + std::to_string(i));
  REQUIRE(stage.push->finish(End::input_over));
  CHECK(stage.count("delivered") == 100);
  CHECK(webhook.requests().size() == 100);
}

TEST_CASE("more messages than may wait slow the stage above") {
  Stage stage({"http://127.0.0.1:" + std::to_string(HttpReceiver().port()) + "/"});
  Batch many;
  for (int i = 0; i < 9'999; ++i) {
    Record& r = many.append();
    r.device = "porch";
    r.fields.push(many.arena(), "n", Value::integer(i));
  }
  REQUIRE(stage.push->write(many));
  Batch more;
  more.append();
  more.append();
  auto refused = stage.push->write(more);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::overloaded);
  CHECK(refused.error().what == "9999 messages wait to be delivered");
}

TEST_CASE("what is wrong in the options is said at check, without the secret") {
  config::Problems problems("test.yaml");
  auto scalar = [](std::string text) {
    config::Node node;
    node.kind = config::Node::Kind::scalar;
    node.text = std::move(text);
    return node;
  };
  config::Node node;
  node.kind = config::Node::Kind::map;
  config::Node to;
  to.kind = config::Node::Kind::list;
  to.items = {scalar("webpush:"), scalar("ntfy://u:s3cret@h/")};
  node.entries.push_back({"to", {}, to});
  node.entries.push_back({"title", {}, scalar("{key")});
  CHECK_FALSE(push_plugin().parse(node, problems));
  REQUIRE(problems.size() == 3);
  CHECK_THAT(problems.list()[0].what, Catch::Contains("the channel 'webpush:' is not available"));
  CHECK_THAT(problems.list()[1].what,
             Catch::Contains("ntfy://h: ntfy://HOST/TOPIC was expected") && !Catch::Contains("s3cret"));
  CHECK_THAT(problems.list()[2].what, Catch::Contains("'title': a lone '{'"));
}
