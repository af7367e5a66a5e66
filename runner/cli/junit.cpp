#include "runner/cli/junit.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace millrace::cli {
namespace {

/// Control characters, which XML cannot have at all, become question marks; line ends survive in attributes too.
std::string xml_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\n': out += "&#10;"; break;
      case '\t': out += "&#9;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    }
  }
  return out;
}

std::string test_case(const TestOutcome& o) {
  std::string head = fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.6f}\"", xml_text(o.file),
                                 xml_text(o.name), o.took.count());
  if (o.failure.empty()) return head + "/>\n";
  std::string_view first = std::string_view(o.failure).substr(0, o.failure.find('\n'));
  first.remove_prefix(std::min(first.find_first_not_of(' '), first.size()));
  return head + fmt::format(">\n      <failure type=\"difference\" message=\"{}\">{}</failure>\n    </testcase>\n",
                            xml_text(first), xml_text(o.failure));
}

struct Sum {
  std::size_t tests = 0, failures = 0;
  double time = 0;
};

template <class It>
Sum sum_of(It begin, It end) {
  Sum sum;
  for (; begin != end; ++begin) {
    ++sum.tests;
    sum.failures += begin->failure.empty() ? 0 : 1;
    sum.time += begin->took.count();
  }
  return sum;
}

std::string figures(const Sum& sum) {
  return fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{:.6f}\"", sum.tests, sum.failures, sum.time);
}

}  // namespace

std::string junit(const std::vector<TestOutcome>& outcomes) {
  std::string out = fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"millrace\" {}>\n",
                                figures(sum_of(outcomes.begin(), outcomes.end())));
  for (auto begin = outcomes.begin(); begin != outcomes.end();) {
    auto end = std::find_if(begin, outcomes.end(), [&](const TestOutcome& o) { return o.file != begin->file; });
    out += fmt::format("  <testsuite name=\"{}\" {}>\n", xml_text(begin->file), figures(sum_of(begin, end)));
    for (; begin != end; ++begin) out += test_case(*begin);
    out += "  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

}  // namespace millrace::cli
