#include "runner/link/remote.h"

#include <catch2/catch.hpp>
#include <thread>

#include "runner/config/yaml.h"
#include "runner/link/socket.h"
#include "tests/support/free_port.h"
#include "tests/support/test_host.h"
#include "tests/support/wait.h"

using namespace millrace;
using namespace std::chrono_literals;
using test::TestHost;
using test::wait_until;

namespace {

template <class Base>
std::unique_ptr<Base> make(const Plugin& plugin, const std::string& yaml, Context context) {
  config::Problems problems{"test.yaml"};
  auto node = config::parse_yaml(yaml, problems);
  REQUIRE(node);
  auto constructor = plugin.parse(*node, problems);
  for (const auto& problem : problems.list()) FAIL(problem.text());
  return std::get<std::unique_ptr<Base>>(constructor(std::move(context)));
}

/// The two ends of one link, each as the runner drives it.
struct Ends {
  explicit Ends(std::string at = "") { address = at.empty() ? "ipc://" + folder.path().string() + "/link" : at; }

  test::TempFolder folder;
  std::string address;
  std::shared_ptr<TestHost> writing = TestHost::make("out"), reading = TestHost::make("in");
  std::vector<Settlement> fates;
  std::unique_ptr<Sink> publisher;
  std::unique_ptr<Source> subscriber;

  void publish(const std::string& keys = "") {
    publisher = make<Sink>(link::publisher_plugin(), "address: " + address + "\n" + keys, writing->context());
    REQUIRE(publisher->connect().has_value());
  }
  void subscribe(const std::string& keys = "") {
    subscriber = make<Source>(link::subscriber_plugin(), "address: " + address + "\n" + keys, reading->context());
    REQUIRE(subscriber->connect().has_value());
  }
  void write(int n) {
    REQUIRE(wait_until([&] { return publisher->wants_input(); }));
    Batch batch;
    batch.append().fields.push(batch.arena(), "n", Value::integer(n));
    writing->ack = Ack([this](Settlement s) { fates.push_back(s); });
    REQUIRE(publisher->write(batch).has_value());
  }
  Batch read() {
    Batch batch;
    REQUIRE(wait_until([&] {
      auto polled = subscriber->poll();
      if (polled) batch = std::move(*polled);
      return !batch.empty();
    }));
    return batch;
  }
};

std::int64_t number_of(const Batch& batch) { return batch.records.at(0).fields.find("n")->as_integer(); }

}  // namespace

TEST_CASE("a batch that the reader refuses comes again, however often, and others do not wait for it") {
  Ends ends;
  ends.publish();
  ends.subscribe();
  for (int n : {1, 2, 3}) ends.write(n);
  Batch first = ends.read(), second = ends.read(), third = ends.read();
  REQUIRE(number_of(second) == 2);
  second.ack.refuse();
  for (int times = 0; times < 4; ++times) {
    Batch again = ends.read();
    REQUIRE(number_of(again) == 2);
    again.ack.refuse();
  }
  first.ack.settle();
  third.ack.settle();
  Batch last = ends.read();
  CHECK(number_of(last) == 2);
  CHECK_FALSE(ends.publisher->idle());
  last.ack.settle();
  CHECK(wait_until([&] { return ends.publisher->idle(); }));
  ends.publisher.reset();
  CHECK(ends.fates == std::vector(3, Settlement::settled));
}

TEST_CASE("a publisher without a reader takes nothing, so that nothing of it waits") {
  Ends ends;
  ends.publish();
  CHECK_FALSE(ends.publisher->wants_input());
  CHECK(ends.publisher->idle());
  ends.subscribe();
  CHECK(ends.writing->wait_for_wake());
  CHECK(wait_until([&] { return ends.publisher->wants_input(); }));
  ends.write(1);
  CHECK_FALSE(ends.publisher->idle());
  ends.subscriber.reset();
  CHECK(wait_until([&] { return ends.publisher->idle() && !ends.publisher->wants_input(); }));
  CHECK(ends.fates.empty());
  ends.subscribe();
  Batch batch = ends.read();
  CHECK(number_of(batch) == 1);
  batch.ack.settle();
  CHECK(wait_until([&] { return ends.publisher->idle() && ends.publisher->wants_input(); }));
}

TEST_CASE("what settles after a reader has stopped is still said to the publisher") {
  Ends ends;
  ends.publish();
  ends.subscribe();
  ends.write(1);
  ends.write(2);
  Batch first = ends.read(), second = ends.read();
  ends.subscriber->stop();
  first.ack.settle();
  second.ack.settle();
  CHECK(wait_until([&] { return ends.publisher->idle(); }));
  CHECK(ends.fates == std::vector(2, Settlement::settled));
  ends.subscriber.reset();
  ends.subscribe();
  ends.write(3);
  CHECK(number_of(ends.read()) == 3);
}

TEST_CASE("with keys, only the two ends that know each other hear each other") {
  Ends ends("tcp://127.0.0.1:" + std::to_string(test::free_port()));
  auto writer = link::make_curve_pair(), reader = link::make_curve_pair(), stranger = link::make_curve_pair();
  auto keys = [](const link::CurvePair& own, const link::CurvePair& other) {
    return "secret: \"" + own.secret + "\"\npeer: \"" + other.open + "\"";
  };
  auto refusal = [&] {
    std::string why;
    CHECK(wait_until([&] {
      auto polled = ends.subscriber->poll();
      if (!polled) why = polled.error().what;
      return !why.empty();
    }));
    return why;
  };
  ends.publish(keys(writer, reader));
  SECTION("each knows the other") {
    ends.subscribe(keys(reader, writer));
    ends.write(1);
    Batch batch = ends.read();
    CHECK(number_of(batch) == 1);
    batch.ack.settle();
    CHECK(wait_until([&] { return ends.publisher->idle(); }));
  }
  SECTION("the publisher does not know the reader") {
    ends.subscribe(keys(stranger, writer));
    CHECK_THAT(refusal(), Catch::Contains("does not know this reader's key") && Catch::Contains("curve.reader"));
    CHECK_FALSE(ends.publisher->wants_input());
  }
  SECTION("the reader takes the publisher for another") {
    ends.subscribe(keys(reader, stranger));
    CHECK_THAT(refusal(), Catch::Contains("'curve.publisher' has to be its public key"));
    CHECK_FALSE(ends.publisher->wants_input());
  }
  SECTION("the reader has no keys") {
    ends.subscribe();
    CHECK(wait_until([&] { return ends.writing->counter("link_refused_peers").value() > 0; }));
    CHECK_FALSE(ends.publisher->wants_input());
    REQUIRE_FALSE(ends.writing->logs().empty());
    CHECK_THAT(ends.writing->logs().front(), Catch::Contains("turned away"));
  }
}

TEST_CASE("an address beyond the machine needs keys, and keys have to be keys") {
  auto problems_of = [](const std::string& yaml) {
    config::Problems problems{"test.yaml"};
    auto node = config::parse_yaml(yaml, problems);
    REQUIRE(node);
    link::publisher_plugin().parse(*node, problems);
    std::string all;
    for (const auto& problem : problems.list()) all += problem.text() + "\n";
    return all;
  };
  auto one = link::make_curve_pair(), other = link::make_curve_pair();
  const std::string far = "address: tcp://0.0.0.0:5600\n";
  CHECK_THAT(problems_of(far), Catch::Contains("beyond this machine") && Catch::Contains("'curve'"));
  CHECK(problems_of(far + "secret: \"" + one.secret + "\"\npeer: \"" + other.open + "\"").empty());
  CHECK_THAT(problems_of(far + "secret: \"" + one.secret + "\""), Catch::Contains("keys come in twos"));
  std::string said = problems_of(far + "secret: hunter2\npeer: \"" + other.open + "\"");
  CHECK_THAT(said, Catch::Contains("expected a key of 40 characters") && !Catch::Contains("hunter2"));
}

TEST_CASE("a batch that is larger than a frame may be is refused with its size: it would break the connection for ever") {
  Ends ends;
  ends.publish();
  ends.subscribe();
  REQUIRE(wait_until([&] { return ends.publisher->wants_input(); }));
  Batch batch;
  const std::string text(link::Socket::largest_frame, 'x');
  batch.append().fields.push(batch.arena(), "text", Value::string(text));
  auto written = ends.publisher->write(batch);
  REQUIRE(written.has_error());
  CHECK(written.error().kind == ErrorKind::rejected);
  CHECK_THAT(written.error().what, Catch::Contains("more than the 63 MiB that a link carries at once"));
  ends.write(1);
  CHECK(number_of(ends.read()) == 1);
}

TEST_CASE("what a reader says while there is no publisher is not kept") {
  std::atomic<int> said{0}, kept{0};
  std::unique_ptr<link::Socket> socket;
  std::atomic<link::Socket*> ready{nullptr};
  auto opened =
      link::Socket::open(link::Socket::End::dealer, "tcp://127.0.0.1:" + std::to_string(test::free_port()), "reader", {},
                         {[](std::string_view, std::string_view) {},
                          [&] {
                            if (!ready) return;
                            if (ready.load()->send("", "hello")) ++kept;
                            ++said;
                          },
                          [](std::string_view) {}});
  REQUIRE(opened.has_value());
  socket = std::move(*opened);
  ready = socket.get();
  CHECK(wait_until([&] {
    socket->wake();
    return said > 20;
  }));
  CHECK(kept == 0);
}
