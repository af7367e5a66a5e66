#include <catch2/catch.hpp>
#include <fstream>

#include "runner/mqtt/tls_problem.h"
#include "tests/support/free_port.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using Catch::Contains;

TEST_CASE("a broker that cannot be reached is told with the network's reason") {
  const std::string nobody = "tcp://127.0.0.1:" + std::to_string(test::free_port());
  CHECK(mqtt::network_problem(nobody, 10s, {}) == "nobody answers there: Connection refused");
  // Longer than a label of a name may be, so that nobody has to be asked.
  const std::string name(70, 'x');
  CHECK_THAT(mqtt::network_problem("tcp://" + name + ":1883", 10s, {}), Contains("the name '" + name + "' is not known"));
}

TEST_CASE("a certificate that is not there is told from one that cannot be understood") {
  test::TempFolder folder;
  mqtt::Tls tls;
  tls.ca.path = folder.path() / "ca.pem";
  CHECK_THAT(mqtt::tls_problem("ssl://127.0.0.1:1", tls, 10s, {}), Contains("ca.pem' cannot be read: No such file"));
  std::ofstream(tls.ca.path) << "no certificate";
  CHECK_THAT(mqtt::tls_problem("ssl://127.0.0.1:1", tls, 10s, {}), Contains("holds no certificates that can be read"));
}
