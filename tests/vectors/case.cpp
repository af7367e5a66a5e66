#include "case.h"

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "runner/cli/script.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"
#include "runner/stage/json.h"
#include "runner/stage/plugin.h"
#include "runner/supervise/virtual_run.h"

namespace millrace {
Plugin alert_plugin();
Plugin emulator_plugin();
Plugin null_sink_plugin();
}  // namespace millrace

namespace millrace::vectors {

namespace {

/// What the stage says of itself, as rows.
class Recorder final : public Trace {
 public:
  /// `level` is what the case calls the only level of a rule that knows none but its severity.
  explicit Recorder(std::string level) : level_(std::move(level)) {
    for (const char* section : {"records", "windows", "derived", "transitions", "notifications"}) rows[section] = Json::array();
  }

  Rows rows;

  void happened(std::string_view, std::string_view kind, std::span<const Field> members) override {
    std::string text;
    append_json(text, members);
    Json row = Json::parse(text);
    // The severity that pipeline_of() gave it.
    const bool silence = row.value("rule", "") == "no_data";
    if (row.value("level", "") == "warning" && (silence || !level_.empty())) row["level"] = silence ? "alert" : level_;
    rows[kind == "derived" ? "derived" : std::string(kind) + "s"].push_back(std::move(row));
  }

 private:
  std::string level_;
};

std::int64_t clock_of(const Json& input) {
  if (input.contains("tick_ms")) return input["tick_ms"];
  if (input.contains("at_ms")) return input["at_ms"];
  if (input.contains("ts_ms")) return input.value("arrival_ms", input["ts_ms"].get<std::int64_t>());
  return 0;
}

Json line_of(const Json& input, const Json& config) {
  if (input.contains("tick_ms")) return {{"tick", input["tick_ms"]}};
  if (input.contains("flush")) return {{"flush", true}};
  if (input.contains("ack")) return {{"ack", input["ack"]}, {"at", input.at("at_ms")}, {"by", input.value("by", "")}};
  if (input.contains("restart"))
    return {{"restart",
             {{"down", input["restart"].at("down_ms")},
              {"up", input["restart"].at("up_ms")},
              {"windows", config.value("restart_windows", "kept")}}}};
  Json line{{"device", input.at("key")}, {"time", input.at("ts_ms")}, {"arrival", clock_of(input)}};
  const Json value = input.value("value", Json());
  line["fields"] = value.is_array() ? Json{{"lat", value.at(0)}, {"lon", value.at(1)}} : Json{{"value", value}};
  if (!input.contains("value")) line["fields"] = Json::object();
  return line;
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  if (!(out << text)) throw std::runtime_error(path.string() + " cannot be written");
}

const graph::Loader& loader() {
  static const graph::Loader made({alert_plugin(), emulator_plugin(), null_sink_plugin()}, config::process_environment());
  return made;
}

graph::Pipeline load(const std::filesystem::path& path) {
  config::Problems problems(path);
  if (auto pipeline = loader().load(problems)) return std::move(*pipeline);
  std::string all;
  for (const config::Problem& problem : problems.list()) all += (all.empty() ? "" : "; ") + problem.text();
  throw std::runtime_error(all);
}

template <class T, class E>
T expect(boost::system::result<T, E> result) {
  if (!result) throw std::runtime_error(result.error().what);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace

std::string script_of(const Json& config, const Json& inputs) {
  std::int64_t start = inputs.empty() ? 0 : clock_of(inputs.front());
  start = config.value("start_ms", start);
  std::string script = Json{{"start", start}}.dump() + "\n";
  int count = 0;
  for (const Json& s : config.value("rule", Json::object()).value("silences", Json::array())) {
    if (s.at("to_ms") <= start) continue;
    Json silence{{"id", std::to_string(++count)}, {"at", start}, {"from", s.at("from_ms")}, {"to", s["to_ms"]}};
    if (s.contains("key")) silence["key"] = s["key"];
    script += Json{{"silence", silence}}.dump() + "\n";
  }
  for (const Json& input : inputs) script += line_of(input, config).dump() + "\n";
  return script;
}

Rows run_case(const Json& config, const Json& inputs, const std::filesystem::path& folder) {
  write(folder / "pipeline.yaml", pipeline_of(config, folder));
  std::string script = script_of(config, inputs);
  write(folder / "input.jsonl", script);
  const graph::Pipeline pipeline = load(folder / "pipeline.yaml");
  Recorder recorder(severity_level(config));
  std::unique_ptr<supervise::VirtualRun> run;
  std::istringstream lines(script);
  auto reader = cli::ScriptReader::of_file(loader(), folder);
  for (std::string line; std::getline(lines, line);) {
    cli::ScriptItem item = expect(reader.line(line));
    if (!run) {
      run = std::make_unique<supervise::VirtualRun>(
          pipeline, item.at.value_or(Time{}), [](supervise::VirtualRun::Seen, const std::string&, const Batch&, Time) {},
          [](LogLevel, std::string_view) {}, &recorder, supervise::VirtualRun::Passing::inputs);
      expect(run->start());
    }
    expect(cli::apply(std::move(item), *run));
  }
  return recorder.rows;
}

}  // namespace millrace::vectors
