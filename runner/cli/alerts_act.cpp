#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runner/api/alert_json.h"
#include "runner/cli/alerts_meant.h"
#include "runner/cli/alerts_options.h"
#include "runner/cli/control.h"
#include "runner/config/values.h"
#include "runner/stage/printable.h"
#include "runner/store/data_folder.h"

namespace millrace::cli {
namespace {

using api::Json;

void put(Json& json, const char* name, const std::string& text) {
  if (!text.empty()) json[name] = text;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Result<void> see_running(const AlertsOptions& given) {
  if (store::DataFolder::holder(given.data)) return {};
  return invalid(
      fmt::format("no instance runs on {}, and only a running one can do that; start it with `millrace run --data {}`",
                  given.data, given.data));
}

// What the running instance answers to a request; an error if it refuses.
Result<Json> ask(const AlertsOptions& given, const Json& request) {
  auto answer = ask_instance(std::filesystem::path(given.data) / "control.sock", dump(request));
  if (!answer) return answer.error();
  Json parsed = Json::parse(*answer, nullptr, false);
  if (!parsed.is_object()) return unavailable("the instance answered with something else than JSON");
  if (parsed.value("ok", false)) return Result<Json>(boost::system::in_place_value, std::move(parsed));
  return invalid(parsed.value("error", std::string("the instance refused, and did not say why")));
}

Json request_about(const char* command, const store::Incident& incident, const AlertsOptions& given) {
  const store::Event& opening = incident.opening;
  Json request{{"command", command}, {"pipeline", opening.pipeline},    {"stage", opening.stage}, {"rule", opening.rule},
               {"key", opening.key}, {"incident", opening.incident_id}, {"by", given.by}};
  put(request, "comment", given.comment);
  return request;
}

// What became of one acknowledgement, in words.
std::string text_of(const Json& acknowledged, const std::string& incident) {
  const std::string outcome = acknowledged.value("outcome", "");
  const std::string by = printable(acknowledged.value("acked_by", ""));
  if (outcome == "acknowledged") return fmt::format("{}  acknowledged by {}", printable(incident), by);
  if (outcome == "already")
    return fmt::format("{}  was already acknowledged by {}; recorded, and ignored", printable(incident), by);
  return fmt::format("{}  is not open any more; recorded, and ignored", printable(incident));
}

Json silence_request(const char* command, const AlertsOptions& given) {
  Json request{{"command", command}};
  put(request, "pipeline", given.pipeline);
  put(request, "stage", given.stage);
  put(request, "rule", given.rule);
  put(request, "key", given.key);
  for (const std::string& label : given.labels)
    request["labels"][label.substr(0, label.find('='))] = label.substr(label.find('=') + 1);
  put(request, "id", given.id);
  put(request, "by", given.by);
  return request;
}

Result<Json> silences_of(const AlertsOptions& given, const Json& request) {
  if (auto running = see_running(given); !running) return running.error();
  auto answer = ask(given, request);
  if (!answer) return answer.error();
  Json silences = answer->value("silences", Json::array());
  if (given.json()) fmt::print("{}\n", dump(silences));
  return Result<Json>(boost::system::in_place_value, std::move(silences));
}

}  // namespace

Result<void> acknowledge_alert(const AlertsOptions& given) {
  auto reader = store::HistoryReader::open(given.data);
  if (!reader) return reader.error();
  auto incidents = meant(**reader, given.name);
  if (!incidents) return incidents.error();
  if (incidents->front().last.to_state == "OK")
    return invalid(fmt::format("{} has ended already", printable(incidents->front().opening.incident_id)));
  if (auto running = see_running(given); !running) return running;
  Json all = Json::array();
  for (const auto& incident : *incidents) {
    auto answer = ask(given, request_about("ack", incident, given));
    if (!answer) return answer.error();
    for (const Json& one : answer->value("alerts", Json::array())) {
      if (!given.json()) fmt::print("{}\n", text_of(one, incident.opening.incident_id));
      all.push_back(one);
    }
  }
  if (given.json()) fmt::print("{}\n", dump(all));
  return {};
}

Result<void> comment_on_alert(const AlertsOptions& given) {
  auto reader = store::HistoryReader::open(given.data);
  if (!reader) return reader.error();
  auto incidents = meant(**reader, given.name);
  if (!incidents) return incidents.error();
  if (auto running = see_running(given); !running) return running;
  Json all = Json::array();
  for (const auto& incident : *incidents) {
    if (auto answer = ask(given, request_about("comment", incident, given)); !answer) return answer.error();
    const std::string& id = incident.opening.incident_id;
    if (!given.json()) fmt::print("{}  noted\n", printable(id));
    all.push_back({{"incident", id}, {"by", given.by}, {"comment", given.comment}});
  }
  if (given.json()) fmt::print("{}\n", dump(all));
  return {};
}

Result<void> silence_alerts(const AlertsOptions& given) {
  const Time now = SystemClock().now();
  const Time from = given.from.empty() ? now + config::parse_duration(given.in).value() : parse_moment(given.from, now).value();
  const Time to = given.to.empty() ? from + config::parse_duration(given.lasting).value() : parse_moment(given.to, now).value();
  Json request = silence_request("silence", given);
  request["from"] = to_whole_millis(from);
  request["to"] = to_whole_millis(to);
  if (given.once) request["once"] = true;
  put(request, "comment", given.comment);
  auto silences = silences_of(given, request);
  if (!silences) return silences.error();
  if (given.json()) return {};
  for (const Json& one : *silences)
    fmt::print("{}  {}/{} silent until {}{}\n", printable(one.value("id", "")), printable(one.value("pipeline", "")),
               printable(one.value("stage", "")), local_time(one.value("to", std::int64_t{})),
               one.value("once", false) ? ", or the alert's end" : "");
  return {};
}

Result<void> unsilence_alerts(const AlertsOptions& given) {
  auto silences = silences_of(given, silence_request("unsilence", given));
  if (!silences) return silences.error();
  if (given.json()) return {};
  for (const Json& one : *silences)
    fmt::print("{}  {}/{} ended: people are told again\n", printable(one.value("id", "")), printable(one.value("pipeline", "")),
               printable(one.value("stage", "")));
  return {};
}

}  // namespace millrace::cli
