// Brokers that are away, come back, forget, or are not who they should be.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "plugins/mqtt_source/driven_source.h"
#include "tests/support/temp_folder.h"
#include "tests/support/wait.h"

namespace {

using namespace millrace;
using namespace millrace::mqtt_source::driven;

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

}  // namespace
