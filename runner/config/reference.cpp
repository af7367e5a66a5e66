#include "runner/config/reference.h"

#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>

namespace millrace::config {
namespace {

using Json = nlohmann::ordered_json;

/// Calls `f(dotted name, field)` for each option, nested ones after the option that they belong to.
void each_option(const Declaration& declaration, const std::string& prefix,
                 const std::function<void(const std::string&, const FieldInfo&)>& f) {
  for (const FieldInfo& field : declaration.fields()) {
    std::string name = prefix + field.name;
    f(name, field);
    if (!field.object) continue;
    const char* below = field.shape == FieldInfo::Shape::map ? ".NAME." : field.shape == FieldInfo::Shape::list ? "[]." : ".";
    each_option(*field.object, name + below, f);
  }
}

std::string type_of(const FieldInfo& field) {
  std::string text = field.type_text();
  if (!field.choices.empty()) {
    std::string choices;
    for (const std::string& choice : field.choices) choices += (choices.empty() ? "" : ", ") + choice;
    text = field.shape == FieldInfo::Shape::one ? choices : text + ": " + choices;
  }
  if (field.minimum && field.maximum) return fmt::format("{}, {} to {}", text, *field.minimum, *field.maximum);
  if (field.minimum) return fmt::format("{}, at least {}", text, *field.minimum);
  if (field.maximum) return fmt::format("{}, at most {}", text, *field.maximum);
  return text;
}

std::string default_of(const FieldInfo& field) {
  if (field.required) return "required";
  return field.default_text.value_or("");
}

/// What a table cell may hold: a bar would end it.
std::string cell(std::string text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

Json schema_of_one(const FieldInfo& field) {
  static const char* duration = "^([0-9]+(\\.[0-9]+)?(us|ms|s|m|h|d))+$";
  static const char* size = "^[0-9]+(\\.[0-9]+)? ?(B|KB|MB|GB|KiB|MiB|GiB|TiB)$";
  // Any option may be a variable, which only the runner can look up.
  static const Json variable = {{"type", "string"}, {"pattern", "\\$\\{"}};
  Json schema;
  if (field.type == "object") return json_schema(*field.object);
  if (field.type == "any") return Json(true);
  if (field.type == "int")
    schema = {{"type", "integer"}};
  else if (field.type == "number")
    schema = {{"type", "number"}};
  else if (field.type == "bool")
    schema = {{"type", "boolean"}};
  else if (field.type == "duration")
    schema = {{"type", "string"}, {"pattern", duration}};
  else if (field.type == "size")
    schema = {{"type", "string"}, {"pattern", size}};
  else
    schema = {{"type", Json::array({"string", "number", "boolean"})}};
  if (field.not_empty) schema["minLength"] = 1;
  if (!field.choices.empty()) schema = {{"enum", field.choices}};
  if (field.type == "int" || field.type == "number") {
    if (field.minimum) schema["minimum"] = std::stod(*field.minimum);
    if (field.maximum) schema["maximum"] = std::stod(*field.maximum);
  }
  return {{"anyOf", Json::array({schema, variable})}};
}

/// As a file has it: an editor fills it in, and a number in quotes would be a text. Of a list or a map the text is for people.
std::optional<Json> default_value(const FieldInfo& field) {
  if (!field.default_text || field.secret || field.shape != FieldInfo::Shape::one) return std::nullopt;
  if (field.type != "int" && field.type != "number" && field.type != "bool") return Json(*field.default_text);
  Json value = Json::parse(*field.default_text, nullptr, false);
  return value.is_discarded() ? std::nullopt : std::optional(value);
}

Json schema_of(const FieldInfo& field) {
  Json one = schema_of_one(field);
  Json schema = one;
  if (field.shape == FieldInfo::Shape::list) schema = {{"anyOf", Json::array({{{"type", "array"}, {"items", one}}, one})}};
  if (field.shape == FieldInfo::Shape::map) schema = {{"type", "object"}, {"additionalProperties", one}};
  if (!schema.is_object()) return schema;
  schema["description"] = field.doc;
  if (auto value = default_value(field)) schema["default"] = *value;
  return schema;
}

}  // namespace

std::string markdown_table(const Declaration& declaration) {
  std::string out = "| option | type | default | what it does |\n|---|---|---|---|\n";
  each_option(declaration, "", [&](const std::string& name, const FieldInfo& field) {
    std::string fallback = default_of(field);
    if (!fallback.empty() && !field.required) fallback = "`" + cell(fallback) + "`";
    out += fmt::format("| `{}` | {} | {} | {} |\n", cell(name), cell(type_of(field)), fallback, cell(field.doc));
  });
  return out;
}

std::string text_table(const Declaration& declaration) {
  std::size_t width = 0;
  each_option(declaration, "", [&](const std::string& name, const FieldInfo&) { width = std::max(width, name.size()); });
  std::string out;
  each_option(declaration, "", [&](const std::string& name, const FieldInfo& field) {
    std::string fallback = default_of(field);
    out += fmt::format("  {:<{}}  {}{}\n", name, width, type_of(field), fallback.empty() ? "" : " [" + fallback + "]");
    out += fmt::format("  {:<{}}  {}\n", "", width, field.doc);
  });
  return out;
}

Json json_schema(const Declaration& declaration) {
  Json properties = Json::object(), numbered = Json::object(), required = Json::array();
  for (const FieldInfo& field : declaration.fields()) {
    if (field.name.ends_with("NN"))
      numbered[fmt::format("^{}[0-9]+(\\.[0-9]+)?$", field.name.substr(0, field.name.size() - 2))] = schema_of(field);
    else
      properties[field.name] = schema_of(field);
    if (field.required) required.push_back(field.name);
  }
  Json object = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  if (!numbered.empty()) object["patternProperties"] = numbered;
  if (!required.empty()) object["required"] = required;
  if (!declaration.shorthand()) return object;
  for (const FieldInfo& field : declaration.fields())
    if (field.name == *declaration.shorthand()) return {{"anyOf", Json::array({object, schema_of_one(field)})}};
  return object;
}

Json json_options(const Declaration& declaration) {
  Json all = Json::array();
  for (const FieldInfo& field : declaration.fields()) {
    Json one = {{"name", field.name}, {"type", field.type_text()}, {"doc", field.doc}};
    if (field.required) one["required"] = true;
    if (field.secret) one["secret"] = true;
    if (field.default_text) one["default"] = *field.default_text;
    if (field.minimum) one["minimum"] = *field.minimum;
    if (field.maximum) one["maximum"] = *field.maximum;
    if (!field.choices.empty()) one["choices"] = field.choices;
    if (field.object) one["options"] = json_options(*field.object);
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace millrace::config
