#include "runner/api/alert_json.h"

#include <nlohmann/json.hpp>
#include <optional>

namespace millrace::api {
namespace {

template <class Number>
void put(Json& json, const char* name, const std::optional<Number>& number) {
  if (number) json[name] = *number;
}

void put(Json& json, const char* name, const std::string& text) {
  if (!text.empty()) json[name] = text;
}

void put(Json& json, const AlertLabels& labels) {
  for (const auto& [name, text] : labels) json["labels"][name] = text;
}

// What stages have written as JSON; as text should it not be.
void put_json(Json& json, const char* name, const std::string& text) {
  if (text.empty()) return;
  Json parsed = Json::parse(text, nullptr, false);
  json[name] = parsed.is_discarded() ? Json(text) : std::move(parsed);
}

}  // namespace

Json json_of(const store::Incident& incident) {
  const store::Event& opening = incident.opening;
  Json json{{"incident", opening.incident_id},
            {"pipeline", opening.pipeline},
            {"stage", opening.stage},
            {"rule", opening.rule},
            {"key", opening.key},
            {"state", incident.last.to_state},
            {"level", incident.level},
            {"opened", opening.event_ms},
            {"changed", incident.last.event_ms}};
  put(json, "value", opening.value);
  put(json, "threshold", opening.threshold);
  put(json, "message", opening.message);
  put_json(json, "labels", opening.labels_json);
  put(json, "acked_by", incident.acked_by);
  return json;
}

Json json_of(const store::Event& event) {
  Json json{{"time", event.event_ms},
            {"wall", event.wall_ms},
            {"from", event.from_state},
            {"to", event.to_state},
            {"reason", event.reason}};
  put(json, "level", store::level_of(event));
  put(json, "value", event.value);
  put(json, "threshold", event.threshold);
  if (event.window_start_ms && event.window_end_ms)
    json["window"] = {{"kind", event.window_kind}, {"start", *event.window_start_ms}, {"end", *event.window_end_ms}};
  put(json, "samples", event.samples);
  put_json(json, "aggregates", event.aggregates_json);
  put(json, "message", event.message);
  put(json, "by", event.actor);
  put(json, "comment", event.comment);
  put(json, "suppressed_by", event.suppressed_by);
  put(json, "run", event.run_id);
  return json;
}

Json json_of(const store::Told& told) {
  const store::Notification& n = told.notification;
  Json json{{"id", n.id}, {"type", n.type}, {"stage", n.link}, {"quiet", n.quiet}, {"created", n.created_ms}};
  put(json, "settled", n.settled_ms);
  json["deliveries"] = Json::array();
  for (const store::Delivery& delivery : told.deliveries) {
    Json one{{"target", delivery.target}, {"status", store::name_of(delivery.status)}, {"attempts", delivery.attempts}};
    put(one, "delivered", delivery.delivered_ms);
    if (delivery.status == store::DeliveryStatus::pending) one["next_try"] = delivery.next_try_ms;
    put(one, "error", delivery.error);
    json["deliveries"].push_back(std::move(one));
  }
  return json;
}

Json json_of(const store::Silence& silence, std::int64_t now_ms) {
  Json json{{"id", silence.id}, {"pipeline", silence.pipeline}, {"stage", silence.stage}};
  put(json, "rule", silence.rule);
  put(json, "key", silence.key);
  put(json, silence.labels);
  if (silence.once) json["once"] = true;
  json["from"] = silence.from_ms;
  json["to"] = silence.to_ms;
  put(json, "by", silence.author);
  put(json, "comment", silence.comment);
  json["created"] = silence.created_ms;
  put(json, "ended", silence.ended_ms);
  const bool over = silence.ended_ms.value_or(silence.to_ms) <= now_ms || silence.to_ms <= now_ms;
  json["state"] = over ? "ended" : now_ms < silence.from_ms ? "pending" : "active";
  return json;
}

Json json_of(const KeptSilence& kept) {
  const Silence& silence = kept.silence;
  Json json{{"id", silence.id}, {"pipeline", kept.stage.pipeline}, {"stage", kept.stage.stage}};
  put(json, "rule", silence.rule);
  put(json, "key", silence.key);
  put(json, silence.labels);
  if (silence.once) json["once"] = true;
  json["from"] = to_whole_millis(silence.from);
  json["to"] = to_whole_millis(silence.to);
  put(json, "by", silence.by);
  put(json, "comment", silence.comment);
  return json;
}

Json json_of(const Acknowledged& acknowledged) {
  constexpr const char* outcomes[] = {"acknowledged", "already", "not_open"};
  Json json = Json::object();
  put(json, "incident", acknowledged.incident);
  json["rule"] = acknowledged.rule;
  json["key"] = acknowledged.key;
  json["outcome"] = outcomes[static_cast<int>(acknowledged.outcome)];
  put(json, "acked_by", acknowledged.by);
  return json;
}

Json whole_json(const store::Incident& incident, const std::vector<store::Event>& timeline,
                const std::vector<store::Told>& told, const std::vector<store::Silence>& silences, std::int64_t now_ms) {
  Json json = json_of(incident);
  json["timeline"] = Json::array();
  for (const store::Event& event : timeline) json["timeline"].push_back(json_of(event));
  json["told"] = Json::array();
  for (const store::Told& each : told) json["told"].push_back(json_of(each));
  json["silences"] = Json::array();
  for (const store::Silence& silence : silences) json["silences"].push_back(json_of(silence, now_ms));
  return json;
}

}  // namespace millrace::api
