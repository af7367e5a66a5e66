#include <catch2/catch.hpp>

#include "runner/config/plugin.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin null_sink_plugin();
}

using namespace millrace;

TEST_CASE("the null sink takes everything and counts it") {
  auto host = test::TestHost::make();
  config::Problems problems("test.yaml");
  config::Node node;
  node.kind = config::Node::Kind::map;
  auto make = null_sink_plugin().parse(node, problems);
  REQUIRE(make);
  auto sink = std::get<std::unique_ptr<Sink>>(make(host->context()));
  Batch batch;
  batch.append();
  batch.append();
  REQUIRE(sink->connect());
  REQUIRE(sink->write(batch));
  REQUIRE(sink->write(batch));
  CHECK(host->counter("records").value() == 4);
}
