#include "runner/cli/collected.h"

#include <fmt/format.h>

#include <algorithm>

#include "runner/config/values.h"
#include "runner/stage/json.h"

namespace millrace::cli {
namespace {

constexpr std::size_t longest_timeline = 200;

}  // namespace

std::string since(Time time, Time start) {
  return time < start ? "-" + config::show_duration(start - time) : config::show_duration(time - start);
}

std::string shown(const Collected::Row& row, Time start) {
  std::string fields;
  append_json(fields, row.record().fields.view());
  std::string_view what = row.seen == Collected::Seen::sent    ? "to clients"
                          : row.seen == Collected::Seen::taken ? "took"
                                                               : row.record().kind;
  std::string own = row.now == row.time() ? "" : fmt::format(" (at {})", since(row.time(), start));
  std::string device = row.record().device.empty() ? "" : fmt::format(" of {}", row.record().device);
  return fmt::format("{:>8}  {}  {}{}{}  {}", since(row.now, start), row.stage, what, device, own, fields);
}

void Collected::add(Seen seen, const std::string& stage, const Batch& batch, Time now) {
  for (const Record& record : batch.records) {
    Row row{seen, stage, now, {}};
    row.batch.append_copy(record);
    rows_.push_back(std::move(row));
  }
}

void Collected::input(Time now, std::string text) { inputs_.push_back({now, std::move(text), rows_.size()}); }

std::string Collected::timeline(const graph::Pipeline& pipeline, const std::vector<std::string>& named) const {
  auto looked_at = [&](std::string_view what) { return std::find(named.begin(), named.end(), what) != named.end(); };
  auto interests = [&](const Row& row) {
    if (row.seen == Seen::sent) return looked_at("clients");
    if (looked_at(row.stage)) return true;
    auto stage = std::find_if(pipeline.stages.begin(), pipeline.stages.end(), [&](const auto& s) { return s.id == row.stage; });
    return stage == pipeline.stages.end() || stage->plugin->role == Role::transform;
  };
  std::vector<std::string> lines;
  auto input = inputs_.begin();
  for (std::size_t i = 0; i <= rows_.size(); ++i) {
    for (; input != inputs_.end() && input->before == i; ++input)
      lines.push_back(fmt::format("{:>8}  > {}", since(input->now, start_), input->text));
    if (i < rows_.size() && interests(rows_[i])) lines.push_back(shown(rows_[i], start_));
  }
  std::string out = "  timeline, > being the input:\n";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines.size() > longest_timeline && i == longest_timeline / 2) {
      std::size_t left_out = lines.size() - longest_timeline;
      out += fmt::format("         ... {} lines ...\n", left_out);
      i += left_out;
    }
    out += "  " + lines[i] + "\n";
  }
  return out;
}

}  // namespace millrace::cli
