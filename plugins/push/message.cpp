#include "plugins/push/message.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "plugins/push/digest.h"
#include "runner/stage/json.h"

namespace millrace::push {
namespace {

using nlohmann::json;

std::string utc(Time time) {
  using namespace std::chrono;
  auto day = floor<days>(time);
  year_month_day date{day};
  hh_mm_ss clock{floor<seconds>(time - day)};
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

std::string shown(const Value& value, int decimals) {
  if (value.is_null()) return {};
  if (value.type() == Type::string) return std::string(value.as_text());
  if (decimals >= 0 && value.number()) return fmt::format("{:.{}f}", *value.number(), decimals);
  std::string text;
  append_json(text, value);
  return text;
}

std::string_view text_field(const Record& record, std::string_view name) {
  const Value* value = record.fields.find(name);
  return value && value->type() == Type::string ? value->as_text() : std::string_view{};
}

/// A notification says its own id, which the alert stage keeps in the history; anything else is what it holds.
std::string identity(const Record& record) {
  if (record.kind == kind::notification)
    if (auto id = text_field(record, "id"); !id.empty()) return std::string(id);
  std::string content;
  append_json_record(content, record);
  return digest_of({content});
}

std::string own_title(const Record& record, std::string_view stage) {
  std::string_view rule = text_field(record, "rule");
  std::string_view key = text_field(record, "key");
  std::string_view type = text_field(record, "type");
  if (rule.empty()) return std::string(record.device.empty() ? stage : record.device);
  std::string title = key.empty() ? std::string(rule) : fmt::format("{}: {}", key, rule);
  return type.empty() || type == "firing" ? title : fmt::format("{} ({})", title, type);
}

std::string own_text(const Record& record) {
  if (auto message = text_field(record, "message"); !message.empty()) return std::string(message);
  std::string text;
  append_json(text, record.fields.view());
  return text;
}

}  // namespace

Result<Template> Template::parse(std::string_view text) {
  Template result;
  std::string literal;
  auto keep_literal = [&] {
    if (!literal.empty()) result.pieces_.push_back({std::move(literal)});
    literal.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c != '{' && c != '}') {
      literal += c;
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == c) {
      literal += c;
      ++i;
      continue;
    }
    std::size_t close = text.find('}', i);
    if (c == '}' || close == std::string_view::npos)
      return invalid(fmt::format("a lone '{}' at character {}; a brace itself is written twice", c, i + 1));
    std::string_view inside = text.substr(i + 1, close - i - 1);
    std::size_t colon = inside.find(':');
    std::string_view name = inside.substr(0, colon);
    if (name.empty() || name.find('{') != std::string_view::npos)
      return invalid(fmt::format("'{{{}}}' at character {} names no field", inside, i + 1));
    keep_literal();
    Piece piece{std::string(name), true};
    if (colon != std::string_view::npos) {
      std::string_view form = inside.substr(colon + 1);
      bool good = form.size() >= 2 && form.size() <= 3 && form[0] == '.' && form[1] >= '0' && form[1] <= '9' &&
                  (form.size() == 2 || form[2] == 'f');
      if (!good) return invalid(fmt::format("'{}' after '{}' is no way to write a number; '.1f' is", form, name));
      piece.decimals = form[1] - '0';
    }
    result.pieces_.push_back(std::move(piece));
    i = close;
  }
  keep_literal();
  return result;
}

std::string Template::fill(const Record& record) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    if (!piece.field) {
      out += piece.text;
    } else if (piece.text == "time") {
      out += utc(record.time);
    } else if (const Value* value = record.fields.find(piece.text)) {
      out += shown(*value, piece.decimals);
    } else if (piece.text == "device") {
      out += record.device;
    } else if (piece.text == "kind") {
      out += record.kind;
    }
  }
  return out;
}

Message Message::from(const Record& record, const Template& title, const Template& body, std::string_view stage) {
  Message message;
  message.notification = identity(record);
  message.title = title.empty() ? own_title(record, stage) : title.fill(record);
  message.text = body.empty() ? own_text(record) : body.fill(record);
  message.level = text_field(record, "level");
  if (message.level.empty()) message.level = text_field(record, "severity");
  message.type = text_field(record, "type");
  const Value* quiet = record.fields.find("quiet");
  message.quiet = quiet && quiet->type() == Type::boolean && quiet->as_boolean();
  std::string_view key = text_field(record, "key");
  // What comes before the number of an incident is the same for all of an alert, or of a group of alerts.
  std::string_view incident = text_field(record, "incident");
  message.thread = incident.empty() ? digest_of({text_field(record, "rule"), key.empty() ? record.device : key})
                                    : digest_of({incident.substr(0, incident.rfind('#'))});
  append_json_record(message.payload, record);
  return message;
}

std::string Message::save() const {
  return json{{"notification", notification},
              {"thread", thread},
              {"title", title},
              {"text", text},
              {"level", level},
              {"type", type},
              {"quiet", quiet},
              {"payload", payload}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Message> Message::load(std::string_view text) {
  json kept = json::parse(text, nullptr, false);
  if (!kept.is_object()) return rejected("the history holds a delivery that cannot be read");
  auto get = [&](const char* name) {
    auto found = kept.find(name);
    return found != kept.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  Message message;
  message.notification = get("notification");
  message.thread = get("thread");
  message.title = get("title");
  message.text = get("text");
  message.level = get("level");
  message.type = get("type");
  message.payload = get("payload");
  auto quiet = kept.find("quiet");
  message.quiet = quiet != kept.end() && quiet->is_boolean() && quiet->get<bool>();
  if (message.payload.empty()) return rejected("the history holds a delivery that cannot be read");
  return message;
}

}  // namespace millrace::push
