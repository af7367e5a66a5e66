#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>
#include <thread>

#include "runner/config/plugin.h"
#include "runner/config/yaml.h"
#include "runner/store/inbox_lease.h"
#include "tests/support/mosquitto.h"
#include "tests/support/test_host.h"
#include "tests/support/wait.h"

namespace millrace {
Plugin mqtt_source_plugin();
}

namespace {

using namespace millrace;
using test::Mosquitto;
using test::TestHost;
using namespace std::chrono_literals;

constexpr auto patience = std::chrono::seconds(60);

std::function<AnyStage(Context)> parse(const std::string& yaml, config::Problems& problems) {
  auto node = config::parse_yaml("plugin: mqtt_source\n" + yaml, problems);
  REQUIRE(node);
  return mqtt_source_plugin().parse(*node, problems);
}

store::Inboxes inboxes;

/// A source as the runner drives it: polled when woken, connected again at once after `unavailable`, unless told otherwise.
struct Stage {
  Stage(std::shared_ptr<TestHost> host_, const std::string& yaml) : host(std::move(host_)) {
    config::Problems problems{"test.yaml"};
    auto make = parse(yaml, problems);
    for (const auto& problem : problems.list()) FAIL(problem.text());
    host->provide(inboxes);
    source = std::get<std::unique_ptr<Source>>(make(host->context()));
    REQUIRE(source->connect().has_value());
  }

  /// Polls until `done` says so; false at the deadline. Keeps the batches.
  template <class F>
  bool poll_until(F&& done) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (!done()) {
      auto batch = source->poll();
      if (!batch) {
        errors.push_back(batch.error());
        if (reconnect) REQUIRE(source->connect().has_value());
      } else if (batch->empty() && batch->ack.empty()) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left <= 0ms || !host->wait_for_wake(left)) return false;
      } else {
        for (const Record& r : batch->records) numbers.push_back(r.fields.find("n") ? r.fields.find("n")->as_integer() : -1);
        batches.push_back(std::move(*batch));
      }
    }
    return true;
  }
  bool receive(std::size_t count) {
    return poll_until([&] { return numbers.size() >= count; });
  }
  bool fail_once() {
    return poll_until([&] { return !errors.empty(); });
  }
  void settle() {
    for (Batch& batch : batches) batch.ack.settle();
    batches.clear();
  }

  std::shared_ptr<TestHost> host;
  std::unique_ptr<Source> source;
  std::vector<Batch> batches;
  std::vector<std::int64_t> numbers;
  std::vector<Error> errors;
  bool reconnect = false;
};

/// Publishes a message a line, from a process of its own; returns when the broker has them.
void publish(const Mosquitto& broker, const std::string& lines, int qos = 1, const std::string& more = "") {
  std::string command = "mosquitto_pub -h 127.0.0.1 -p " + std::to_string(broker.port()) + " -q " + std::to_string(qos) +
                        " -t devices/a/messages/events/ -l " + more;
  FILE* publisher = popen(command.c_str(), "w");
  REQUIRE(publisher);
  CHECK(std::fwrite(lines.data(), 1, lines.size(), publisher) == lines.size());
  REQUIRE(pclose(publisher) == 0);
}

void publish_numbers(const Mosquitto& broker, int first, int last, int qos = 1) {
  std::string lines;
  for (int n = first; n <= last; ++n) lines += "{\"n\":" + std::to_string(n) + "}\n";
  publish(broker, lines, qos);
}

std::string options(const Mosquitto& broker, const std::string& more = "") {
  return "broker: " + broker.url() + "\ntopics: [devices/+/messages/events/#]\n" + more;
}

std::vector<std::int64_t> upto(std::int64_t last) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t n = 1; n <= last; ++n) numbers.push_back(n);
  return numbers;
}

TEST_CASE("messages of both qualities arrive in order with their device and topic") {
  Mosquitto broker("allow_anonymous true\nmax_queued_messages 0");
  int qos = GENERATE(0, 1);
  Stage stage(TestHost::make("porch"), options(broker, "qos: " + std::to_string(qos)));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 1, 500, qos);
  REQUIRE(stage.receive(500));
  CHECK(stage.numbers == upto(500));
  const Record& first = stage.batches.front().records.front();
  CHECK(first.device == "a");
  CHECK(first.meta.find("topic")->as_text() == "devices/a/messages/events/");
  CHECK((first.sequence != 0) == (qos == 1));
  CHECK(first.source != 0);
  for (Batch& batch : stage.batches) CHECK(batch.ack.empty() == (qos == 0));
}

TEST_CASE("what a stage has not settled is there again after it is gone, what it has is not") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  {
    Stage stage(host, options(broker));
    REQUIRE(broker.wait_for_log("Sending SUBACK"));
    publish_numbers(broker, 1, 10);
    REQUIRE(stage.receive(10));
    stage.settle();
    publish_numbers(broker, 11, 30);
    REQUIRE(stage.receive(30));
  }
  Stage again(host, options(broker));
  REQUIRE(again.receive(20));
  CHECK(again.numbers.front() == 11);
  CHECK(again.numbers.back() == 30);
  again.settle();
  publish_numbers(broker, 31, 31);
  REQUIRE(again.receive(21));
  CHECK(again.numbers.size() == 21);
  CHECK(again.numbers.back() == 31);
}

TEST_CASE("a successor takes over the inbox while its predecessor's batches are still out") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  std::optional<Stage> former(std::in_place, host, options(broker));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 1, 5);
  REQUIRE(former->receive(5));
  publish_numbers(broker, 6, 10);
  REQUIRE(former->receive(10));
  std::vector<Batch> out = std::move(former->batches);
  former->source->stop();
  CHECK(former->source->remaining().value().empty());
  former.reset();

  Stage successor(host, options(broker, "catch_up: 0s\ninbox: {limit: 2MiB}"));
  publish_numbers(broker, 11, 15);
  REQUIRE(successor.receive(5));
  CHECK(successor.numbers.front() == 11);
  for (Batch& batch : out) {
    bool first_half = batch.records[0].fields.find("n")->as_integer() <= 5;
    first_half ? batch.ack.settle() : batch.ack.refuse();
  }
  REQUIRE(successor.receive(10));
  CHECK(std::set(successor.numbers.begin() + 5, successor.numbers.end()) == std::set<std::int64_t>{6, 7, 8, 9, 10});
  successor.settle();
  successor.source.reset();

  Stage last(host, options(broker));
  publish_numbers(broker, 16, 16);
  REQUIRE(last.receive(1));
  CHECK(last.numbers.front() == 16);
}

TEST_CASE("two stages never share an inbox") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker));
  config::Problems problems{"test.yaml"};
  auto other = std::get<std::unique_ptr<Source>>(parse(options(broker), problems)(host->context()));
  auto refused = other->connect();
  REQUIRE(refused.has_error());
  CHECK(refused.error().kind == ErrorKind::unavailable);
  CHECK_THAT(refused.error().what, Catch::Contains("in use by another source"));
}

TEST_CASE("what has come with QoS 0 before a stop is still given") {
  Mosquitto broker("allow_anonymous true\nmax_queued_messages 0");
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "qos: 0\nqueue: 16KiB"));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  constexpr std::int64_t room = (16 << 10) / 64;
  publish_numbers(broker, 1001, 2000, 0);
  // Messages are dropped once the queue is full.
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (host->dropped("queue_full").value() == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  stage.source->stop();
  std::vector<std::int64_t> numbers;
  for (Batch batch = stage.source->remaining().value(); !batch.empty(); batch = stage.source->remaining().value())
    for (const Record& r : batch.records) numbers.push_back(r.fields.find("n")->as_integer() - 1000);
  CHECK(numbers == upto(room));
}

TEST_CASE("a refused batch is offered again by the running source") {
  Mosquitto broker;
  Stage stage(TestHost::make("porch"), options(broker));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 1, 5);
  REQUIRE(stage.receive(5));
  stage.batches.clear();
  REQUIRE(stage.receive(10));
  CHECK(std::set(stage.numbers.begin() + 5, stage.numbers.end()) == std::set<std::int64_t>{1, 2, 3, 4, 5});
}

TEST_CASE("the broker keeps what comes while the source is away") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  {
    Stage stage(host, options(broker));
    REQUIRE(broker.wait_for_log("Sending SUBACK"));
  }
  publish_numbers(broker, 1, 50);
  Stage again(host, options(broker));
  REQUIRE(again.receive(50));
  CHECK(again.numbers == upto(50));
}

TEST_CASE("after a restart of a broker that forgets everything the source receives again") {
  Mosquitto broker;
  Stage stage(TestHost::make("porch"), options(broker));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  for (int round = 1; round <= 3; ++round) {
    stage.errors.clear();
    // A connection that ends before the source has its SUBACK is one that was never made.
    REQUIRE(test::wait_until([&] { return stage.source->ready(); }));
    broker.stop();
    REQUIRE(stage.fail_once());
    CHECK(stage.errors.front().kind == ErrorKind::unavailable);
    CHECK_THAT(stage.errors.front().what, Catch::Contains("lost the connection to " + broker.url()));
    broker.start();
    REQUIRE(stage.source->connect().has_value());
    REQUIRE(broker.wait_for_log("Sending SUBACK"));
    publish_numbers(broker, round, round);
    REQUIRE(stage.receive(static_cast<std::size_t>(round)));
    CHECK(stage.numbers.back() == round);
  }
}

TEST_CASE("two sources that take each other's connection by the same client_id are told so") {
  Mosquitto broker;
  Stage one(TestHost::make("porch"), options(broker, "client_id: twin"));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  Stage other(TestHost::make("cellar"), options(broker, "client_id: twin"));
  auto told = [](const Stage& stage) {
    return std::any_of(stage.errors.begin(), stage.errors.end(), [](const Error& e) {
      return e.kind == ErrorKind::unavailable && e.what.find("another client has the client_id 'twin'") != std::string::npos;
    });
  };
  for (int round = 0; round < 20 && !(told(one) && told(other)); ++round) {
    Stage& pushed_out = round % 2 == 0 ? one : other;
    pushed_out.errors.clear();
    REQUIRE(pushed_out.fail_once());
    REQUIRE(pushed_out.source->connect().has_value());
  }
  CHECK(told(one));
  CHECK(told(other));
}

TEST_CASE("a broker that is not there is unavailable, and found once it is") {
  Mosquitto broker;
  broker.stop();
  Stage stage(TestHost::make("porch"), options(broker));
  REQUIRE(stage.fail_once());
  CHECK(stage.errors.front().kind == ErrorKind::unavailable);
  CHECK_THAT(stage.errors.front().what, Catch::StartsWith(broker.url() + " cannot be reached"));
  broker.start();
  REQUIRE(stage.source->connect().has_value());
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 1, 1);
  CHECK(stage.receive(1));
}

TEST_CASE("a wrong password is named, and not shown") {
  test::TempFolder folder;
  std::string passwords = (folder.path() / "passwords").string();
  REQUIRE(std::system(("mosquitto_passwd -b -c " + passwords + " sensor correct-horse").c_str()) == 0);
  Mosquitto broker("allow_anonymous false\npassword_file " + passwords);
  Stage wrong(TestHost::make("porch"), options(broker, "username: sensor\npassword: battery-staple"));
  REQUIRE(wrong.fail_once());
  CHECK(wrong.errors.front().kind == ErrorKind::unavailable);
  CHECK_THAT(wrong.errors.front().what, Catch::StartsWith(broker.url() + " refused the connection: bad user name or password"));
  CHECK_THAT(wrong.errors.front().what, !Catch::Contains("battery-staple"));
  Stage none(TestHost::make("porch"), options(broker));
  REQUIRE(none.fail_once());
  CHECK_THAT(none.errors.front().what, Catch::Contains("set username and password"));
  Stage right(TestHost::make("porch"), options(broker, "username: sensor\npassword: correct-horse"));
  CHECK(broker.wait_for_log("Sending SUBACK"));
}

TEST_CASE("a source whose inbox is nearly full leaves the messages to the broker until there is room") {
  Mosquitto broker("allow_anonymous true\nmax_queued_messages 0");
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "inbox: {limit: 1MiB}"));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  constexpr int sent = 1600;
  std::string lines;
  for (int n = 1; n <= sent; ++n) lines += "{\"n\":" + std::to_string(n) + ",\"x\":\"" + std::string(900, 'x') + "\"}\n";
  publish(broker, lines);
  REQUIRE(broker.wait_for_log("Client millrace-test-porch disconnected"));
  REQUIRE(stage.source->poll().has_value());
  REQUIRE(stage.source->next_tick().has_value());
  REQUIRE(host->wait_for_wake());
  auto drain = [&] {
    for (auto batch = stage.source->poll(); batch && !batch->empty(); batch = stage.source->poll()) {
      for (const Record& r : batch->records) stage.numbers.push_back(r.fields.find("n")->as_integer());
      batch->ack.settle();
    }
  };
  drain();
  CHECK(stage.numbers.size() < sent);
  host->time.set(host->time.now() + 2s);
  auto all = [&] { return std::set(stage.numbers.begin(), stage.numbers.end()).size() == sent; };
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (!all() && std::chrono::steady_clock::now() < deadline) {
    drain();
    host->wait_for_wake(100ms);
  }
  CHECK(all());
  CHECK(host->counter("unprotected").value() == 0);
}

TEST_CASE("TLS needs a certificate that the authority has signed for the host") {
  test::TempFolder folder;
  std::string f = folder.path().string() + "/";
  auto sh = [](const std::string& command) { REQUIRE(std::system((command + " 2>/dev/null").c_str()) == 0); };
  auto issue = [&](const std::string& name, const std::string& host, const std::string& validity = "-days 2") {
    sh("openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout " + f + name + ".key -out " + f + name +
       ".csr -subj /CN=" + name);
    folder.write(name + ".ext", "subjectAltName=" + host);
    sh("openssl x509 -req -in " + f + name + ".csr -CA " + f + "ca.pem -CAkey " + f + "ca.key -CAcreateserial " + validity +
       " -out " + f + name + ".pem -extfile " + f + name + ".ext");
  };
  auto authority = [&](const std::string& name) {
    sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout " + f + name + ".key -out " + f +
       name + ".pem -days 2 -subj /CN=" + name);
  };
  authority("ca");
  authority("stranger");
  issue("right", "DNS:localhost");
  issue("elsewhere", "DNS:elsewhere.example");
  issue("expired", "DNS:localhost", "-days -1");
  auto tls = [&](const std::string& name) {
    return "allow_anonymous true\ncafile " + f + "ca.pem\ncertfile " + f + name + ".pem\nkeyfile " + f + name + ".key";
  };
  auto to = [&](const Mosquitto& broker, const std::string& ca) {
    return "broker: mqtts://localhost:" + std::to_string(broker.port()) + "\ntopics: [devices/#]\ntls: {ca: " + f + ca +
           ".pem}\n";
  };
  Mosquitto right(tls("right"));
  Stage stage(TestHost::make("porch"), to(right, "ca"));
  REQUIRE(right.wait_for_log("Sending SUBACK"));

  Stage distrustful(TestHost::make("cellar"), to(right, "stranger"));
  REQUIRE(distrustful.fail_once());
  CHECK_THAT(distrustful.errors.front().what,
             Catch::Contains("cannot be reached") && Catch::Contains("'/CN=ca', which is not among the authorities in tls.ca"));

  Mosquitto elsewhere(tls("elsewhere"));
  Stage misled(TestHost::make("attic"), to(elsewhere, "ca"));
  REQUIRE(misled.fail_once());
  CHECK_THAT(misled.errors.front().what, Catch::Contains("its certificate is for 'elsewhere.example', not for 'localhost'"));
  CHECK_FALSE(elsewhere.wait_for_log("Sending SUBACK", std::chrono::milliseconds(0)));

  Mosquitto old(tls("expired"));
  Stage late(TestHost::make("shed"), to(old, "ca"));
  REQUIRE(late.fail_once());
  CHECK_THAT(late.errors.front().what, Catch::Contains("its certificate expired on 20"));

  Mosquitto open("allow_anonymous true");
  Stage unsecured(TestHost::make("hall"), to(open, "ca"));
  REQUIRE(unsecured.fail_once());
  CHECK_THAT(unsecured.errors.front().what, Catch::Contains("no TLS there"));
}

TEST_CASE("malformed payloads go to the dead letters and are settled with their batch") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  {
    Stage stage(host, options(broker));
    REQUIRE(broker.wait_for_log("Sending SUBACK"));
    publish(broker, "{\"n\":\n[1]\n\xff\n");
    REQUIRE(stage.poll_until([&] { return host->rejects.size() == 3; }));
    CHECK(stage.numbers.empty());
    stage.settle();
    publish_numbers(broker, 4, 4);
    REQUIRE(stage.receive(1));
    CHECK(host->rejects.front().device == "a");
  }
  Stage again(host, options(broker));
  REQUIRE(again.receive(1));
  CHECK(again.numbers.front() == 4);
  CHECK(host->rejects.size() == 3);
}

TEST_CASE("a full QoS 0 queue drops and counts exactly") {
  Mosquitto broker("allow_anonymous true\nmax_queued_messages 0");
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "qos: 0\nqueue: 16KiB"));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  // Each message takes 64 bytes of the queue.
  constexpr std::size_t sent = 2000;
  constexpr std::size_t room = (16 << 10) / 64;
  publish_numbers(broker, 1001, 1000 + sent, 0);
  Counter& dropped = host->dropped("queue_full");
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (dropped.value() < sent - room && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  REQUIRE(stage.receive(room));
  CHECK(stage.numbers.size() == room);
  CHECK(stage.numbers.back() == 1000 + room);
  CHECK(dropped.value() == sent - room);
}

TEST_CASE("retained messages are left out unless wanted, and counted") {
  Mosquitto broker;
  publish(broker, "{\"n\":1}\n", 1, "-r");
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 2, 2);
  REQUIRE(stage.receive(1));
  CHECK(stage.numbers == std::vector<std::int64_t>{2});
  CHECK(host->dropped("retained").value() == 1);
  Stage wanted(TestHost::make("cellar"), options(broker, "retained: true"));
  REQUIRE(wanted.receive(1));
  CHECK(wanted.numbers.front() == 1);
}

TEST_CASE("a message larger than the limit is never kept whole, and what it was is in the dead letters") {
  Mosquitto broker;
  int qos = GENERATE(0, 1);
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "payload_limit: 1KiB\nqos: " + std::to_string(qos)));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  std::string fits = "{\"n\":1,\"x\":\"" + std::string(1024 - 14, 'x') + "\"}";
  REQUIRE(fits.size() == 1024);
  publish(broker, fits + "\n{\"n\":2,\"x\":\"" + std::string(1024 - 13, 'x') + "\"}\n{\"n\":3}\n", qos);
  REQUIRE(stage.receive(2));
  CHECK(stage.numbers == std::vector<std::int64_t>{1, 3});
  REQUIRE(host->rejects.size() == 1);
  CHECK(host->rejects[0].device == "a");
  CHECK(host->rejects[0].what == "the payload has 1025 bytes, more than the 1024 that are taken; only its beginning is kept");
  CHECK(host->counter("oversize_messages").value() == 1);
  stage.settle();
}

TEST_CASE("a message too large with its topic for the inbox does not keep the source from receiving") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "inbox: {limit: 1MiB}\npayload_limit: 512KiB"));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish(broker, std::string(512 << 10, 'x') + "\n{\"n\":2}\n");
  REQUIRE(stage.receive(1));
  CHECK(host->rejects.size() == 1);
  CHECK(host->counter("unprotected").value() == 0);
}

TEST_CASE("an empty message, which clears a retained one, is no bad payload") {
  Mosquitto broker;
  int qos = GENERATE(0, 1);
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "qos: " + std::to_string(qos)));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish(broker, "\n{\"n\":1}\n", qos, "-r");
  REQUIRE(stage.receive(1));
  CHECK(host->rejects.empty());
  CHECK(host->dropped("cleared").value() == 1);
}

TEST_CASE("a shared subscription delivers under the plain topic") {
  Mosquitto broker;
  Stage stage(TestHost::make("porch"), "broker: " + broker.url() + "\ntopics: [$share/group/devices/+/messages/events/#]\n");
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 1, 3);
  REQUIRE(stage.receive(3));
  CHECK(stage.batches.front().records.front().device == "a");
}

TEST_CASE("options that cannot work are problems of the configuration") {
  for (const char* yaml :
       {"topics: []", "broker: mqtt://127.0.0.1", "topics: [a/#/b]", "topics: [a]\nqos: 2", "topics: [a]\nbroker: http://x",
        "topics: [a]\nbroker: mqtt://u:p@h", "topics: [a]\ndevice: {topic: 'x/{device}', field: y}", "topics: [a]\ndevice: x/y",
        "topics: [a]\ntls: {ca: x.pem}", "topics: [a]\npayload_limit: 513KiB\ninbox: {limit: 1MiB}",
        "topics: [a]\nqos: 0\npayload_limit: 3MiB"}) {
    INFO(yaml);
    config::Problems problems{"test.yaml"};
    CHECK_FALSE(parse(yaml, problems));
    CHECK(problems.size() == 1);
    for (const auto& problem : problems.list()) CHECK_THAT(problem.text(), !Catch::Contains("u:p"));
  }
}

}  // namespace
