#include "runner/cli/junit.h"

#include <catch2/catch.hpp>

using namespace millrace::cli;
using Catch::Matchers::Contains;

TEST_CASE("a JUnit report has a suite a file, and survives any text") {
  std::string xml = junit({{"a.yaml", "good", "", {}}, {"b.yaml", "bad <&\"\x01", "  first\nsecond \x02", {}}});
  CHECK_THAT(xml, Contains("<testsuites name=\"millrace\" tests=\"2\" failures=\"1\""));
  CHECK_THAT(xml, Contains("<testsuite name=\"a.yaml\" tests=\"1\" failures=\"0\""));
  CHECK_THAT(xml, Contains("<testsuite name=\"b.yaml\" tests=\"1\" failures=\"1\""));
  CHECK_THAT(xml, Contains("name=\"bad &lt;&amp;&quot;?\""));
  CHECK_THAT(xml, Contains("message=\"first\">  first&#10;second ?</failure>"));
}
