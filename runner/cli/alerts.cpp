#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "runner/cli/commands.h"
#include "runner/cli/control.h"
#include "runner/config/values.h"
#include "runner/store/data_folder.h"
#include "runner/store/history_reader.h"

namespace millrace::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Given {
  std::string data = "millrace-data";
  std::string format = "text";
  std::string state, rule, key, since;
  std::size_t limit = 50;
  std::string name;  ///< incident, dedup key or key
  std::string by, comment;
  std::string stage, from = "0s", lasting;  ///< of a silence

  bool json() const { return format == "json"; }
};

std::string local_time(std::int64_t ms) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<std::time_t>(ms / 1000)));
}

// Keys and messages come from devices: nothing in them may drive the terminal.
std::string printable(std::string_view text) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  return out;
}

void put_number(Json& json, const char* name, const std::optional<double>& number) {
  if (number) json[name] = *number;
}

void put_text(Json& json, const char* name, const std::string& text) {
  if (!text.empty()) json[name] = text;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json json_of(const store::Incident& incident) {
  const store::Event& opening = incident.opening;
  Json json{{"incident", opening.incident_id},
            {"pipeline", opening.pipeline},
            {"stage", opening.stage},
            {"rule", opening.rule},
            {"key", opening.key},
            {"state", incident.last.to_state},
            {"level", incident.last.level_to},
            {"opened", opening.event_ms},
            {"changed", incident.last.event_ms}};
  put_number(json, "value", opening.value);
  put_number(json, "threshold", opening.threshold);
  put_text(json, "message", opening.message);
  put_text(json, "acked_by", incident.acked_by);
  return json;
}

Json json_of(const store::Event& event) {
  Json json{{"time", event.event_ms},
            {"wall", event.wall_ms},
            {"from", event.from_state},
            {"to", event.to_state},
            {"reason", event.reason}};
  put_text(json, "level", event.level_to);
  put_number(json, "value", event.value);
  put_text(json, "message", event.message);
  put_text(json, "by", event.actor);
  put_text(json, "comment", event.comment);
  put_text(json, "suppressed_by", event.suppressed_by);
  return json;
}

Json json_of(const store::Told& told) {
  Json json{{"type", told.notification.type}, {"stage", told.notification.link}, {"created", told.notification.created_ms}};
  json["deliveries"] = Json::array();
  for (const store::Delivery& delivery : told.deliveries) {
    Json one{{"target", delivery.target}, {"status", store::name_of(delivery.status)}, {"attempts", delivery.attempts}};
    if (delivery.delivered_ms) one["delivered"] = *delivery.delivered_ms;
    put_text(one, "error", delivery.error);
    json["deliveries"].push_back(std::move(one));
  }
  return json;
}

Result<store::IncidentFilter> filter_of(const Given& given) {
  store::IncidentFilter filter;
  filter.state = given.state;
  filter.rule = given.rule;
  filter.key = given.key;
  filter.limit = given.limit;
  if (!given.since.empty()) {
    auto ago = config::parse_duration(given.since);
    if (!ago) return invalid(fmt::format("--since: {}", ago.error().what));
    filter.since_ms = to_whole_millis(SystemClock().now() - *ago);
  }
  return filter;
}

Result<void> list(const Given& given) {
  auto filter = filter_of(given);
  if (!filter) return filter.error();
  auto reader = store::HistoryReader::open(given.data);
  if (!reader) return reader.error();
  auto incidents = (*reader)->incidents(*filter);
  if (!incidents) return incidents.error();
  if (given.json()) {
    Json all = Json::array();
    for (const auto& incident : *incidents) all.push_back(json_of(incident));
    fmt::print("{}\n", dump(all));
    return {};
  }
  if (incidents->empty()) fmt::print(stderr, "no alerts\n");
  for (const auto& incident : *incidents) {
    const store::Event& opening = incident.opening;
    fmt::print("{}  {:<10} {:<9} {}{}  {}\n", local_time(opening.event_ms), incident.last.to_state,
               printable(incident.last.level_to), printable(opening.incident_id),
               incident.acked_by.empty() ? "" : fmt::format("  (ack {})", printable(incident.acked_by)),
               printable(opening.message));
  }
  return {};
}

// Those that the person means: of a key, all that are open, or else the latest.
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

void print_text(const store::Incident& incident, const std::vector<store::Event>& timeline,
                const std::vector<store::Told>& told) {
  fmt::print("{}  {}\n", printable(incident.opening.incident_id), incident.last.to_state);
  for (const auto& event : timeline)
    fmt::print("  {}  {:<10} -> {:<10} {}{}{}\n", local_time(event.event_ms), event.from_state, event.to_state,
               printable(event.reason), event.value ? fmt::format("  {:g}", *event.value) : "",
               event.message.empty() ? "" : "  " + printable(event.message));
  for (const auto& each : told) {
    fmt::print("  {}  told ({}) through {}\n", local_time(each.notification.created_ms), each.notification.type,
               printable(each.notification.link));
    for (const auto& delivery : each.deliveries)
      fmt::print("    {}: {}{}{}\n", printable(delivery.target), store::name_of(delivery.status),
                 delivery.delivered_ms ? " " + local_time(*delivery.delivered_ms)
                                       : fmt::format(" after {} attempts", delivery.attempts),
                 delivery.error.empty() ? "" : ": " + printable(delivery.error));
  }
}

Result<void> show(const Given& given) {
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
    if (!given.json()) {
      print_text(incident, *timeline, *told);
      continue;
    }
    Json json = json_of(incident);
    json["timeline"] = Json::array();
    for (const auto& event : *timeline) json["timeline"].push_back(json_of(event));
    json["told"] = Json::array();
    for (const auto& each : *told) json["told"].push_back(json_of(each));
    all.push_back(std::move(json));
  }
  if (given.json()) fmt::print("{}\n", dump(all));
  return {};
}

Result<void> acknowledge(const Given& given, const store::Incident& incident) {
  const store::Event& opening = incident.opening;
  Json request{{"command", "ack"},   {"pipeline", opening.pipeline},    {"stage", opening.stage}, {"rule", opening.rule},
               {"key", opening.key}, {"incident", opening.incident_id}, {"by", given.by}};
  put_text(request, "comment", given.comment);
  auto answer = ask_instance(std::filesystem::path(given.data) / "control.sock", dump(request));
  if (!answer) return answer.error();
  const Json parsed = Json::parse(*answer, nullptr, false);
  if (!parsed.is_object()) return unavailable("the instance answered with something else than JSON");
  if (!parsed.value("ok", false))
    return invalid(parsed.value("error", std::string("the instance refused, and did not say why")));
  if (given.json())
    fmt::print("{}\n", dump({{"incident", opening.incident_id}, {"acked_by", given.by}}));
  else
    fmt::print("{}  acknowledged by {}\n", printable(opening.incident_id), printable(given.by));
  return {};
}

Result<void> ack(Given given) {
  if (given.by.empty()) {
    const char* user = std::getenv("USER");
    if (user == nullptr || *user == '\0') return invalid("say who acknowledges, with --by WHO");
    given.by = user;
  }
  auto reader = store::HistoryReader::open(given.data);
  if (!reader) return reader.error();
  auto incidents = meant(**reader, given.name);
  if (!incidents) return incidents.error();
  if (incidents->front().last.to_state == "OK")
    return invalid(fmt::format("{} has ended already", printable(incidents->front().opening.incident_id)));
  if (!store::DataFolder::holder(given.data))
    return invalid(
        fmt::format("no instance runs on {}, and only a running one can acknowledge; start it with `millrace run --data {}`",
                    given.data, given.data));
  for (const auto& incident : *incidents)
    if (auto acknowledged = acknowledge(given, incident); !acknowledged) return acknowledged;
  return {};
}

Result<void> ask(const Given& given, const Json& request) {
  if (!store::DataFolder::holder(given.data))
    return invalid(
        fmt::format("no instance runs on {}, and only a running one can do that; start it with `millrace run --data {}`",
                    given.data, given.data));
  auto answer = ask_instance(std::filesystem::path(given.data) / "control.sock", dump(request));
  if (!answer) return answer.error();
  const Json parsed = Json::parse(*answer, nullptr, false);
  if (!parsed.is_object()) return unavailable("the instance answered with something else than JSON");
  if (parsed.value("ok", false)) return {};
  return invalid(parsed.value("error", std::string("the instance refused, and did not say why")));
}

// What a silence and its end have in common: who is meant. --stage is a stage's id, or PIPELINE/STAGE.
Json matchers(const char* command, const Given& given) {
  Json request{{"command", command}};
  const auto slash = given.stage.find('/');
  if (slash != std::string::npos) request["pipeline"] = given.stage.substr(0, slash);
  put_text(request, "stage", slash == std::string::npos ? given.stage : given.stage.substr(slash + 1));
  put_text(request, "rule", given.rule);
  put_text(request, "key", given.key);
  put_text(request, "id", given.name);
  return request;
}

Result<void> silence(const Given& given) {
  auto after = config::parse_duration(given.from), lasting = config::parse_duration(given.lasting);
  if (!after) return invalid(fmt::format("--in: expected {}", after.error().what));
  if (!lasting) return invalid(fmt::format("--for: expected {}", lasting.error().what));
  const char* user = std::getenv("USER");
  const Time from = SystemClock().now() + *after;
  Json request = matchers("silence", given);
  request["from"] = to_whole_millis(from);
  request["to"] = to_whole_millis(from + *lasting);
  put_text(request, "by", given.by.empty() && user != nullptr ? std::string(user) : given.by);
  put_text(request, "comment", given.comment);
  // A name of its own, by which it can be ended.
  if (given.name.empty())
    request["id"] = fmt::format("{}/{}@{}", given.rule.empty() ? "*" : given.rule, given.key.empty() ? "*" : given.key,
                                request["from"].get<std::int64_t>());
  if (auto asked = ask(given, request); !asked) return asked;
  const std::string id = request["id"].get<std::string>();
  if (given.json())
    fmt::print("{}\n", dump({{"silence", id}, {"from", request["from"]}, {"to", request["to"]}}));
  else
    fmt::print("{}  silent until {}\n", printable(id), local_time(request["to"].get<std::int64_t>()));
  return {};
}

Result<void> unsilence(const Given& given) {
  if (auto asked = ask(given, matchers("unsilence", given)); !asked) return asked;
  if (given.json())
    fmt::print("{}\n", dump({{"unsilenced", true}}));
  else
    fmt::print("people are told again\n");
  return {};
}

}  // namespace

void add_alerts(CLI::App& app, Program& program) {
  auto given = std::make_shared<Given>();
  CLI::App* alerts = app.add_subcommand("alerts", "List, show, acknowledge and silence alerts.");
  alerts->require_subcommand(1);
  auto add = [&](const char* name, const char* about, std::function<Result<void>(const Given&)> work) {
    CLI::App* command = alerts->add_subcommand(name, about);
    command->add_option("--data", given->data, "The data folder")->capture_default_str();
    command->add_option("--format", given->format, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    command->callback([given, work, &program] {
      if (auto result = work(*given); !result) {
        fmt::print(stderr, "millrace alerts: {}\n", result.error().what);
        program.status = failed;
      }
    });
    return command;
  };
  CLI::App* listing = add("list", "List incidents, newest first.", list);
  listing->add_option("--state", given->state, "Only those in this state; open: all but OK")
      ->check(CLI::IsMember({"open", "FIRING", "RECOVERING", "LATCHED", "OK"}));
  listing->add_option("--rule", given->rule, "Only of this rule");
  listing->add_option("--key", given->key, "Only of this key");
  listing->add_option("--since", given->since, "Only those opened within this time, such as 2h");
  listing->add_option("--limit", given->limit, "At most so many")->check(CLI::Range(1, 100'000))->capture_default_str();
  CLI::App* showing = add("show", "Show an incident's timeline and who was told.", show);
  showing->add_option("INCIDENT", given->name, "An incident, or a key")->required();
  CLI::App* acking = add("ack", "Acknowledge what is open, through the running instance.", ack);
  acking->add_option("INCIDENT", given->name, "An incident, or a key")->required();
  acking->add_option("--by", given->by, "Who acknowledges; default $USER");
  acking->add_option("--comment", given->comment, "What to add");
  auto add_matchers = [&](CLI::App* command) {
    command->add_option("--rule", given->rule, "Only of this rule");
    command->add_option("--key", given->key, "Only of this key");
    command->add_option("--stage", given->stage, "Only at this stage: STAGE or PIPELINE/STAGE");
  };
  CLI::App* silencing =
      add("silence", "Tell nobody of the alerts that match, for a while, through the running instance.", silence);
  add_matchers(silencing);
  silencing->add_option("--for", given->lasting, "How long, such as 2h")->required();
  silencing->add_option("--in", given->from, "When it begins, from now on")->capture_default_str();
  silencing->add_option("--id", given->name, "What it is called; a name is made if not given");
  silencing->add_option("--by", given->by, "Who asks for it; default $USER");
  silencing->add_option("--comment", given->comment, "Why");
  CLI::App* unsilencing = add("unsilence", "End a silence, or those of just this rule and key.", unsilence);
  unsilencing->add_option("SILENCE", given->name, "What it is called");
  add_matchers(unsilencing);
}

}  // namespace millrace::cli
