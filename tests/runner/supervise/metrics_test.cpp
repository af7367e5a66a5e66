#include "runner/supervise/metrics.h"

#include <catch2/catch.hpp>
#include <sstream>

using namespace millrace;
using namespace millrace::supervise;

namespace {

StageView view(const std::string& pipeline, const std::string& stage, std::shared_ptr<StageFigures> figures) {
  return {pipeline, stage, "lua", false, Condition::running, std::move(figures), 3, 500};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool has_line(const std::string& text, const std::string& wanted) {
  for (const std::string& line : lines_of(text))
    if (line == wanted) return true;
  return false;
}

}  // namespace

TEST_CASE("a stage's own counters end in _total, its gauges do not, and each has its type") {
  auto figures = std::make_shared<StageFigures>();
  figures->counted("script_errors").add(2);
  figures->gauge("script_memory_bytes").set(4096);
  std::string text = metrics_text({view("p", "rule", figures)}, nullptr, {}, {});
  const std::string labels = R"({pipeline="p",stage="rule",plugin="lua"})";
  CHECK(has_line(text, "# TYPE millrace_stage_script_errors_total counter"));
  CHECK(has_line(text, "millrace_stage_script_errors_total" + labels + " 2"));
  CHECK(has_line(text, "# TYPE millrace_stage_script_memory_bytes gauge"));
  CHECK(has_line(text, "millrace_stage_script_memory_bytes" + labels + " 4096"));
}

TEST_CASE("a family is told once, with all its stages") {
  auto text = metrics_text({view("p", "a", std::make_shared<StageFigures>()), view("q", "a", std::make_shared<StageFigures>())},
                           nullptr, {}, {});
  std::size_t types = 0, samples = 0;
  for (const std::string& line : lines_of(text)) {
    types += line.starts_with("# TYPE millrace_stage_records_in_total ") ? 1 : 0;
    samples += line.starts_with("millrace_stage_records_in_total{") ? 1 : 0;
  }
  CHECK(types == 1);
  CHECK(samples == 2);
}

TEST_CASE("what stands in a label cannot end it") {
  auto figures = std::make_shared<StageFigures>();
  figures->dropped("a\"b\\c\nd").add();
  std::string text = metrics_text({view("p", "rule", figures)}, nullptr, {}, {});
  CHECK(text.find(R"(reason="a\"b\\c\nd"} 1)") != std::string::npos);
}

TEST_CASE("what pipelines had under way when they ended is there after them") {
  std::string text = metrics_text({}, nullptr, {}, {Duration{}, {{"gone", 7}}});
  CHECK(has_line(text, R"(millrace_pipeline_lost_total{pipeline="gone"} 7)"));
}
