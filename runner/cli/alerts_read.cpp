#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runner/api/alert_json.h"
#include "runner/cli/alerts_meant.h"
#include "runner/cli/alerts_options.h"
#include "runner/stage/printable.h"
#include "runner/store/export.h"
#include "runner/store/history_reader.h"

namespace millrace::cli {
namespace {

using api::Json;

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

store::EventFilter event_filter_of(const AlertsOptions& given) {
  store::EventFilter filter{given.pipeline, given.stage, given.rule, given.key, {}, {}};
  const Time now = SystemClock().now();
  if (!given.since.empty()) filter.since_ms = to_whole_millis(parse_moment(given.since, now).value());
  if (!given.until.empty()) filter.until_ms = to_whole_millis(parse_moment(given.until, now).value());
  return filter;
}

// What a timeline shows: one line, and the moment that decides its place.
struct Moment {
  std::int64_t ms = 0;
  std::string line;
};

Moment moment_of(const store::Event& event) {
  std::string line = fmt::format("{}  {:<10} -> {:<10} {}", local_time(event.event_ms), event.from_state, event.to_state,
                                 printable(event.reason));
  if (event.value) line += fmt::format("  {:g}", *event.value);
  if (!event.actor.empty() && event.reason != "ack:" + event.actor) line += "  by " + printable(event.actor);
  if (!event.comment.empty()) line += fmt::format("  \"{}\"", printable(event.comment));
  if (!event.message.empty()) line += "  " + printable(event.message);
  if (!event.suppressed_by.empty()) line += fmt::format("  (muted by {})", printable(event.suppressed_by));
  return {event.wall_ms, std::move(line)};
}

void add_moments(std::vector<Moment>& moments, const store::Told& told) {
  const store::Notification& n = told.notification;
  moments.push_back({n.created_ms, fmt::format("{}  told ({}{}) through {}", local_time(n.created_ms), n.type,
                                               n.quiet ? ", quietly" : "", printable(n.link))});
  for (const store::Delivery& d : told.deliveries) {
    const std::int64_t at = d.delivered_ms.value_or(n.created_ms);
    std::string line = fmt::format("{}    {}: {}", local_time(at), printable(d.target), store::name_of(d.status));
    if (!d.delivered_ms || d.attempts > 1) line += fmt::format(" after {} attempts", d.attempts);
    if (!d.error.empty()) line += ": " + printable(d.error);
    moments.push_back({at, std::move(line)});
  }
}

std::string text_of(const store::Silence& s) {
  std::string line = fmt::format("{}  {}  rule {}  key {}", printable(s.id), printable(s.pipeline + "/" + s.stage),
                                 s.rule.empty() ? "*" : printable(s.rule), s.key.empty() ? "*" : printable(s.key));
  for (const auto& [name, wanted] : s.labels) line += fmt::format("  {} {}", printable(name), printable(wanted));
  line += fmt::format("  {} to {}", local_time(s.from_ms), local_time(s.to_ms));
  if (s.once) line += ", or the alert's end";
  if (s.ended_ms) line += fmt::format("  ended {}", local_time(*s.ended_ms));
  if (!s.author.empty()) line += "  by " + printable(s.author);
  if (!s.comment.empty()) line += fmt::format("  \"{}\"", printable(s.comment));
  return line;
}

void print_text(const store::Incident& incident, const std::vector<store::Event>& timeline,
                const std::vector<store::Told>& told, const std::vector<store::Silence>& silences) {
  fmt::print("{}  {}{}\n", printable(incident.opening.incident_id), incident.last.to_state,
             incident.acked_by.empty() ? "" : fmt::format("  (ack {})", printable(incident.acked_by)));
  std::vector<Moment> moments;
  for (const store::Event& event : timeline) moments.push_back(moment_of(event));
  for (const store::Told& each : told) add_moments(moments, each);
  std::stable_sort(moments.begin(), moments.end(), [](const Moment& a, const Moment& b) { return a.ms < b.ms; });
  for (const Moment& moment : moments) fmt::print("  {}\n", moment.line);
  for (const store::Silence& silence : silences) fmt::print("  silence {}\n", text_of(silence));
}

}  // namespace

std::string local_time(std::int64_t ms) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<std::time_t>(ms / 1000)));
}

Result<std::vector<store::Incident>> meant(store::HistoryReader& reader, const std::string& name) {
  auto found = reader.find(name);
  if (!found) return found.error();
  if (found->empty())
    return invalid(fmt::format("no alert is called '{}'; `millrace alerts list` shows them", printable(name)));
  std::vector<store::Incident> open;
  for (const auto& incident : *found)
    if (incident.last.to_state != "OK") open.push_back(incident);
  if (!open.empty()) return open;
  return std::vector<store::Incident>{found->front()};
}

Result<void> list_alerts(const AlertsOptions& given) {
  store::IncidentFilter filter{event_filter_of(given), given.state, given.limit, {}, {}};
  auto reader = store::HistoryReader::open(given.data);
  if (!reader) return reader.error();
  auto incidents = (*reader)->incidents(filter);
  if (!incidents) return incidents.error();
  if (given.json()) {
    Json all = Json::array();
    for (const auto& incident : *incidents) all.push_back(api::json_of(incident));
    fmt::print("{}\n", dump(all));
    return {};
  }
  if (incidents->empty()) fmt::print(stderr, "no alerts\n");
  for (const auto& incident : *incidents) {
    const store::Event& opening = incident.opening;
    fmt::print("{}  {:<10} {:<9} {}{}  {}\n", local_time(opening.event_ms), incident.last.to_state, printable(incident.level),
               printable(opening.incident_id),
               incident.acked_by.empty() ? "" : fmt::format("  (ack {})", printable(incident.acked_by)),
               printable(opening.message));
  }
  return {};
}

Result<void> show_alert(const AlertsOptions& given) {
  auto reader = store::HistoryReader::open(given.data);
  if (!reader) return reader.error();
  auto incidents = meant(**reader, given.name);
  if (!incidents) return incidents.error();
  Json all = Json::array();
  for (const auto& incident : *incidents) {
    auto timeline = (*reader)->timeline(incident.opening.incident_id);
    if (!timeline) return timeline.error();
    auto told = (*reader)->told(incident.opening.incident_id);
    if (!told) return told.error();
    auto silences = (*reader)->silences_of(incident);
    if (!silences) return silences.error();
    if (given.json())
      all.push_back(api::whole_json(incident, *timeline, *told, *silences, to_whole_millis(SystemClock().now())));
    else
      print_text(incident, *timeline, *told, *silences);
  }
  if (given.json()) fmt::print("{}\n", dump(all));
  return {};
}

Result<void> list_silences(const AlertsOptions& given) {
  auto reader = store::HistoryReader::open(given.data);
  if (!reader) return reader.error();
  const std::int64_t now = to_whole_millis(SystemClock().now());
  auto silences = (*reader)->silences({given.pipeline, given.stage, given.all ? std::nullopt : std::optional(now)});
  if (!silences) return silences.error();
  if (given.json()) {
    Json all = Json::array();
    for (const auto& silence : *silences) all.push_back(api::json_of(silence, now));
    fmt::print("{}\n", dump(all));
    return {};
  }
  if (silences->empty()) fmt::print(stderr, "no silences\n");
  for (const auto& silence : *silences) fmt::print("{}\n", text_of(silence));
  return {};
}

Result<void> export_events(const AlertsOptions& given) {
  auto reader = store::HistoryReader::open(given.data);
  if (!reader) return reader.error();
  std::string lines = given.format == "csv" ? store::csv_header() : std::string();
  auto write = [&] {
    const bool good = std::fwrite(lines.data(), 1, lines.size(), stdout) == lines.size();
    lines.clear();
    return good;
  };
  constexpr std::size_t enough = 1U << 16U;
  auto read = (*reader)->each_event(event_filter_of(given), [&](const store::Event& event) {
    lines += given.format == "csv" ? store::csv_row(event) : store::json_line(event);
    return lines.size() < enough || write();
  });
  if (!read) return read.error();
  if (!write() || std::fflush(stdout) != 0) return unavailable("cannot write all of it: is the disk full, or the reader gone?");
  return {};
}

}  // namespace millrace::cli
