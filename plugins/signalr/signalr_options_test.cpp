#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "plugins/signalr/options.h"
#include "runner/config/yaml.h"

using namespace millrace;
using namespace millrace::signalr;

namespace {

/// What is wrong with a stage's options, each as "line:column: what".
std::vector<std::string> problems_of(const std::string& yaml) {
  config::Problems problems{"p.yaml"};
  auto node = config::parse_yaml(yaml, problems);
  REQUIRE(node.has_value());
  Options options;
  config::declaration_of<Options>()->read(*node, options, "signalr", problems);
  std::vector<std::string> said;
  for (const config::Problem& one : problems.list())
    said.push_back(std::to_string(one.position.line) + ':' + std::to_string(one.position.column) + ": " + one.what);
  return said;
}

/// The one thing that is wrong with one option.
std::string problem_of(std::string_view option, std::string_view value) {
  auto said = problems_of("flush: 1ms\n" + std::string(option) + ": " + std::string(value) + "\n");
  return said.size() == 1 ? said[0] : std::to_string(said.size()) + " problems";
}

}  // namespace

TEST_CASE("paths of a hub are paths, and apart from one another") {
  CHECK(problems_of("{hub: /api, plain: /api/lines, rest: plant}").empty());
  CHECK(problems_of("{hub: /hubs/a-b_c.d~e/, plain: none, rest: none}").empty());
  for (auto wrong : {"telemetry", "http://here/hub", "/", "//", "''"})
    CHECK(problem_of("hub", wrong).starts_with("2:6: expected a path"));
  for (auto wrong : {"/a//b", "'/a b'", "'/a?b=c'", "'/a#b'", "/a%20b", "'/a*'", "/ä"})
    CHECK(problem_of("hub", wrong).starts_with("2:6: expected a path"));
  CHECK(problem_of("plain", "lines").starts_with("2:8: expected a path that begins with '/'"));
  for (auto wrong : {"/hubs/telemetry", "/hubs/telemetry/", "/hubs/telemetry/negotiate"})
    CHECK(problem_of("plain", wrong).starts_with("2:8: '/hubs/telemetry"));
  for (auto wrong : {"1st", "a/b", "'a b'", "'-'"}) CHECK(problem_of("rest", wrong).starts_with("2:7: expected a name"));
  CHECK(problem_of("rest", std::string(129, 'a')).starts_with("2:7: expected a name"));
  CHECK(problem_of("target", "''").starts_with("2:9: expected the name of a method"));
}

TEST_CASE("origins are as browsers send them, and what could never match is said at its place") {
  CHECK(problems_of("origins: [https://plant.example, http://10.0.0.7:8080, 'http://[::1]:9', capacitor://localhost]").empty());
  for (auto wrong : {"https://plant.example/", "https://plant.example/page", "https://Plant.example", "HTTPS://plant.example",
                     "https://plant.example:443", "http://plant.example:80", "plant.example", "'*'", "https://*.example",
                     "https://", "https://a:b", "'https://a:'", "https://user@plant.example", "file://", "//plant.example"})
    CHECK(problem_of("origins", "[https://good.example, " + std::string(wrong) + "]").starts_with("2:33: expected an origin"));
  CHECK(problem_of("origins", "['null']").starts_with("2:11: 'null' is sent by pages of any origin"));
}

TEST_CASE("the paths that a hub claims are known without opening it") {
  Options options;
  options.hub = "/hubs/plant/";
  CHECK(paths_of(options.hub_options()) ==
        std::vector<std::string>{"/hubs/plant", "/hubs/plant/negotiate", "/hubs/plant/ws", "/api/hubs/plant"});
  options.plain = options.rest = "none";
  CHECK(paths_of(options.hub_options()) == std::vector<std::string>{"/hubs/plant", "/hubs/plant/negotiate"});
}

TEST_CASE("one user may have half of a hub's connections, unless told otherwise, and no more than all") {
  Options options;
  CHECK(options.hub_options().max_connections_per_user == 5000);
  options.max_connections = 1;
  CHECK(options.hub_options().max_connections_per_user == 1);
  options.max_connections_per_user = 1;
  CHECK(options.hub_options().max_connections_per_user == 1);
  CHECK(problems_of("{max_connections: 5, max_connections_per_user: 5}").empty());
  CHECK(
      problem_of("max_connections_per_user", "10001").starts_with("2:27: expected at most the hub's `max_connections`, 10000"));
  CHECK(problem_of("max_connections_per_user", "0").starts_with("2:27: "));
}
