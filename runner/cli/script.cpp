#include "runner/cli/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <vector>

#include "runner/cli/script_fields.h"
#include "runner/config/event_time.h"
#include "runner/config/values.h"
#include "runner/stage/json.h"

namespace millrace::cli {
namespace {

std::string shown(const Value& value) {
  std::string text;
  append_json(text, value);
  return text;
}

FieldList members(const Value& value) {
  if (value.type() != Type::object) return {};
  std::span<const Field> fields = value.as_object();
  // Only looked at, as the list promises where nobody pushes.
  return FieldList::adopt(const_cast<Field*>(fields.data()), fields.size(), fields.size());
}

/// Milliseconds, with a fraction, as a Time.
std::optional<Time> from_number(const Value& value) {
  double millis = *value.number();
  if (!std::isfinite(millis) || std::abs(millis) > 9e12) return std::nullopt;
  if (value.type() == Type::integer) return from_millis(value.as_integer());
  return Time(Duration(std::llround(millis * 1000)));
}

std::optional<Time> from_text(std::string_view text, std::optional<Time> start) {
  if (auto time = config::parse_rfc3339(text)) return time;
  bool before = text.starts_with('-');
  auto span = config::parse_duration(text.substr(before ? 1 : 0));
  if (!span || !start) return std::nullopt;
  return before ? *start - *span : *start + *span;
}

/// The members of one input; those of a control may stand under its name as well as beside it. Remembers the first that is
/// wrong.
class Form {
 public:
  /// Durations count from `start`, if there is one; bare numbers are times if `numbers` says so.
  Form(const FieldList& input, std::string_view control, std::optional<Time> start, bool numbers)
      : input_(input), control_(control), start_(start), numbers_(numbers) {
    if (const Value* under = control.empty() ? nullptr : input.find(control)) under_ = members(*under);
  }

  const Value* find(std::string_view name) const {
    const Value* found = under_.find(name);
    return found ? found : input_.find(name);
  }

  /// Empty where there is none.
  std::string text(std::string_view name) {
    const Value* value = find(name);
    if (!value || value->is_null()) return {};
    if (value->type() == Type::string) return std::string(value->as_text());
    wrong(name, fmt::format("expected a text, got {}", shown(*value)));
    return {};
  }

  /// A map of texts; empty where there is none.
  AlertLabels texts(std::string_view name) {
    AlertLabels found;
    const Value* value = find(name);
    if (!value || value->is_null()) return found;
    if (value->type() != Type::object) {
      wrong(name, fmt::format("expected a map of texts, got {}", shown(*value)));
      return found;
    }
    for (const Field& field : value->as_object()) {
      if (field.value.type() != Type::string)
        wrong(name, fmt::format("expected texts, got {}", shown(field.value)));
      else
        found.emplace_back(field.name, field.value.as_text());
    }
    return found;
  }

  std::string required_text(std::string_view name, std::string_view what) {
    std::string found = text(name);
    if (found.empty()) wrong(name, fmt::format("expected {}", what));
    return found;
  }

  std::optional<Time> time_if(std::string_view name) {
    const Value* value = find(name);
    if (!value) return std::nullopt;
    std::optional<Time> time;
    if (value->number() && numbers_) time = from_number(*value);
    if (value->type() == Type::string) time = from_text(value->as_text(), start_);
    if (!time) wrong(name, fmt::format("expected {}, got {}", expected_time(), shown(*value)));
    return time;
  }

  Time time(std::string_view name, std::string_view otherwise = "") {
    if (auto found = time_if(name)) return *found;
    if (auto found = otherwise.empty() ? std::nullopt : time_if(otherwise)) return *found;
    wrong(name, fmt::format("missing: {}", expected_time()));
    return {};
  }

  void only(std::initializer_list<std::string_view> names, std::string_view hint = "") {
    for (const FieldList* list : {&input_, static_cast<const FieldList*>(&under_)}) {
      for (const Field& field : *list) {
        if (field.name == control_ || std::find(names.begin(), names.end(), field.name) != names.end()) continue;
        wrong(field.name,
              fmt::format("unknown here{}{}", hint, config::did_you_mean(field.name, {names.begin(), names.end()})));
      }
    }
  }

  void wrong(std::string_view member, std::string_view what) {
    if (error_) return;
    error_ = ScriptError{std::string(member), member.empty() ? std::string(what) : fmt::format("'{}': {}", member, what)};
  }

  ScriptReader::Item take(ScriptItem item) {
    if (error_) return std::move(*error_);
    return item;
  }

 private:
  std::string_view expected_time() const {
    if (!numbers_) return "a duration from the start, such as 20s, or a time such as 2026-03-01T12:30:05Z";
    return "milliseconds since the epoch, a time such as 2026-03-01T12:30:05Z, or a duration from the start, such as 20s";
  }

  const FieldList& input_;
  std::string_view control_;
  std::optional<Time> start_;
  bool numbers_;
  FieldList under_;
  std::optional<ScriptError> error_;
};

/// `{at: 20s, tick: true}` as well as `{tick: 20s}`.
bool says_when(const Value& value) { return !value.is_null() && value.type() != Type::boolean; }

Silence silence_of(Form& form, std::string_view control) {
  Silence silence{form.text("id"), form.text("rule"),    form.text("key"),     {},   {},
                  form.text("by"), form.text("comment"), form.texts("labels"), false};
  const Value* value = form.find(control);
  if (value && value->type() == Type::string) silence.id = value->as_text();
  if (value && (value->number() || value->type() == Type::list))
    form.wrong(control, fmt::format("expected a map, or the silence's id, got {}", shown(*value)));
  return silence;
}

ScriptItem silence_item(Form& form) {
  form.only({"at", "from", "to", "id", "rule", "key", "labels", "once", "by", "comment"});
  ScriptItem::Silence what{silence_of(form, "silence")};
  Time at = form.time("at", "from");
  what.silence.from = form.time("from", "at");
  what.silence.to = form.time("to");
  if (const Value* once = form.find("once")) {
    if (once->type() != Type::boolean) form.wrong("once", fmt::format("expected true or false, got {}", shown(*once)));
    what.silence.once = once->type() == Type::boolean && once->as_boolean();
    if (what.silence.once && what.silence.from > at) form.wrong("from", "with 'once' it begins at once");
  }
  if (what.silence.to <= what.silence.from) form.wrong("to", "a silence ends after it begins");
  return {at, std::move(what)};
}

ScriptItem restart_item(Form& form) {
  using Windows = supervise::VirtualRun::Windows;
  form.only({"at", "down", "up", "windows"});
  ScriptItem::Restart what{form.time("down", "at"), form.time("up")};
  std::string windows = form.text("windows");
  if (windows == "lost") what.windows = Windows::lost;
  if (windows != "lost" && windows != "kept" && !windows.empty())
    form.wrong("windows", fmt::format("the windows of a restart are kept or lost, not '{}'", windows));
  if (what.up < what.down) form.wrong("up", "lies before the restart's 'down'");
  return {what.down, what};
}

ScriptItem outage_item(Form& form) {
  form.only({"at", "sink", "from", "to"});
  const Value* value = form.find("outage");
  bool named = value && value->type() == Type::string;
  ScriptItem::Outage what{named ? std::string(value->as_text()) : form.required_text("sink", "the id of a sink"), {}};
  Time from = form.time("from", "at");
  what.until = form.time("to");
  if (what.until <= from) form.wrong("to", "an outage ends after it begins");
  return {from, std::move(what)};
}

ScriptItem acknowledge_item(Form& form) {
  form.only({"at", "key", "rule", "by"});
  const Value* value = form.find("ack");
  bool map = value && value->type() == Type::object;
  ScriptItem::Acknowledge what{form.required_text(map ? "key" : "ack", "the key of an alert"), form.text("rule"),
                               form.text("by")};
  return {form.time("at"), std::move(what)};
}

ScriptItem::Reload reload_of(Form& form, const graph::Loader& loader, const std::filesystem::path& folder) {
  ScriptItem::Reload what;
  std::string name = form.required_text("reload", "a pipeline file");
  if (name.empty()) return what;
  what.file = folder / name;
  config::Problems problems(what.file);
  auto pipeline = loader.load(problems);
  if (pipeline)
    what.pipeline = std::make_shared<graph::Pipeline>(std::move(*pipeline));
  else
    form.wrong("reload", fmt::format("the file is not good: {}", problems.in_order().front().text()));
  return what;
}

ScriptItem record_item(Form& form, Batch batch) {
  // A hub's clients receive a number and an epoch with a record, and over a plain WebSocket the target.
  form.only({"time", "at", "arrival", "device", "kind", "fields", "meta", "into", "target", "seq", "epoch"},
            "; readings stand under 'fields'");
  Record& record = batch.records.front();
  Arena& arena = batch.arena();
  const Value* fields = form.find("fields");
  if (!fields || fields->type() != Type::object)
    form.wrong("fields", fields ? fmt::format("expected an object, got {}", shown(*fields)) : "missing: the record's readings");
  record.time = form.time("time", "at");
  record.arrival = form.time_if("arrival").value_or(record.time);
  record.device = arena.copy(form.text("device"));
  if (std::string kind = form.text("kind"); !kind.empty()) record.kind = arena.copy(kind);
  if (const Value* meta = form.find("meta"); meta && meta->type() == Type::object)
    for (const Field& f : meta->as_object()) record.meta.push(arena, f.name, f.value);
  ScriptItem item{record.arrival, ScriptItem::Records{{}, form.text("into")}};
  record.fields = {};
  if (fields && fields->type() == Type::object)
    for (const Field& f : fields->as_object()) record.fields.push(arena, f.name, f.value);
  std::get<ScriptItem::Records>(item.what).batch = std::move(batch);
  return item;
}

ScriptItem short_record_item(Form& form, Batch batch) {
  Record& record = batch.records.front();
  Arena& arena = batch.arena();
  record.time = record.arrival = form.time("at");
  record.device = arena.copy(form.text("device"));
  ScriptItem item{record.arrival, ScriptItem::Records{{}, form.text("into")}};
  FieldList all = record.fields;
  record.fields = {};
  for (const Field& field : all)
    if (field.name != "at" && field.name != "device" && field.name != "into")
      record.fields.push(arena, field.name, field.value);
  std::get<ScriptItem::Records>(item.what).batch = std::move(batch);
  return item;
}

}  // namespace

ScriptReader ScriptReader::of_test(const graph::Loader& loader, std::filesystem::path folder, Time start) {
  return {loader, std::move(folder), start, false};
}

ScriptReader ScriptReader::of_file(const graph::Loader& loader, std::filesystem::path folder) {
  return {loader, std::move(folder), std::nullopt, true};
}

ScriptReader::Item ScriptReader::item(const FieldList& input, Batch batch) {
  ScriptShape shape = shape_of(input);
  const bool first = std::exchange(first_, false);
  if (shape.control == "start") numbers_ = true;
  Form form(input, shape.control, start_, numbers_);
  ScriptItem item;
  if (shape.kind == ScriptShape::Kind::record) {
    item = record_item(form, std::move(batch));
  } else if (shape.kind == ScriptShape::Kind::short_record) {
    item = short_record_item(form, std::move(batch));
  } else if (shape.control == "start" || shape.control == "tick") {
    form.only({"at"});
    item = {form.time(says_when(*input.find(shape.control)) ? shape.control : "at"), ScriptItem::Tick{}};
    if (shape.control == "start" && !first) form.wrong("start", "stands before all other inputs");
    if (shape.control == "start") start_ = item.at;
  } else if (shape.control == "flush") {
    form.only({"at"});
    if (*input.find("flush") != Value::boolean(true)) form.wrong("flush", "expected true");
    item = {form.time_if("at"), ScriptItem::Flush{}};
  } else if (shape.control == "ack") {
    item = acknowledge_item(form);
  } else if (shape.control == "silence") {
    item = silence_item(form);
  } else if (shape.control == "unsilence") {
    form.only({"at", "id", "rule", "key", "labels", "by", "comment"});
    item = {form.time("at"), ScriptItem::Unsilence{silence_of(form, "unsilence")}};
  } else if (shape.control == "restart") {
    item = restart_item(form);
  } else if (shape.control == "outage") {
    item = outage_item(form);
  } else if (shape.control == "reload") {
    form.only({"at"});
    item = {form.time("at"), reload_of(form, *loader_, folder_)};
  } else {
    form.wrong("", no_shape(input));
  }
  if (!start_) start_ = item.at;
  return form.take(std::move(item));
}

ScriptReader::Item ScriptReader::entry(const config::Node& node) {
  if (!node.is_map()) return ScriptError{{}, "expected a map with 'at', got " + node.shown()};
  Batch batch;
  Record& record = batch.append();
  record.fields = script_fields(node, batch.arena());
  const FieldList fields = record.fields;
  return item(fields, std::move(batch));
}

ScriptReader::Item ScriptReader::line(std::string_view json) {
  Batch batch;
  JsonDecoder decoder;
  Result<std::size_t> decoded = decoder.decode(json, batch);
  if (!decoded) return ScriptError{{}, decoded.error().what};
  if (*decoded != 1) return ScriptError{{}, "expected one object"};
  const FieldList fields = batch.records.front().fields;
  return item(fields, std::move(batch));
}

Result<void> apply(ScriptItem item, supervise::VirtualRun& run) {
  if (item.at) run.advance(*item.at);
  if (std::holds_alternative<ScriptItem::Flush>(item.what)) {
    run.finish();
    return {};
  }
  if (auto* records = std::get_if<ScriptItem::Records>(&item.what)) return run.feed(std::move(records->batch), records->source);
  if (auto* ack = std::get_if<ScriptItem::Acknowledge>(&item.what))
    return run.acknowledge({ack->key, ack->rule, {}, ack->by, {}});
  if (auto* asked = std::get_if<ScriptItem::Silence>(&item.what)) return run.silence(asked->silence);
  if (auto* asked = std::get_if<ScriptItem::Unsilence>(&item.what)) return run.unsilence(asked->which);
  if (auto* lost = std::get_if<ScriptItem::Restart>(&item.what)) return run.restart(lost->down, lost->up, lost->windows);
  if (auto* outage = std::get_if<ScriptItem::Outage>(&item.what)) return run.outage(outage->sink, outage->until);
  if (auto* reload = std::get_if<ScriptItem::Reload>(&item.what)) return run.reload(reload->pipeline);
  run.tick();
  return {};
}

}  // namespace millrace::cli
