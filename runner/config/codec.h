#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runner/config/declaration.h"
#include "runner/config/node.h"
#include "runner/config/values.h"

namespace millrace::config {

template <class C>
class Fields;

template <class T>
class TypedDeclaration;

template <class T>
const std::shared_ptr<const TypedDeclaration<T>>& declaration_of();

/// A struct that describes itself: see runner/config/fields.h.
template <class T>
concept Described = requires(Fields<T>& f) {
  T::describe(f);
};

/// How a member type is read from a node and described.
template <class T>
struct Codec;

namespace detail {

bool read_bool(const Node& node, bool& to);
bool read_integer(const Node& node, std::int64_t& to);
bool read_number(const Node& node, double& to);
bool read_text(const Node& node, std::string& to);
std::string show_number(double number);
bool refuse_empty_name(const Entry& entry, std::string_view of, Problems& problems);
void complain(const Node& node, std::string_view name, std::string_view expected, bool secret, Problems& problems);
std::string name_list(const std::vector<std::string>& names);

/// Calls `f` with each item of a list, each value of a map, or the node itself.
void each_element(const Node& node, const std::function<void(const Node&)>& f);

}  // namespace detail

/// What a Codec needs to know of the field it reads.
struct FieldReader {
  std::string_view name;
  const FieldInfo& info;
  Problems& problems;

  bool wrong(const Node& node, std::string_view expected) const {
    detail::complain(node, name, expected, info.secret, problems);
    return false;
  }
};

template <>
struct Codec<bool> {
  static void describe(FieldInfo& info) { info.type = "bool"; }
  static std::optional<std::string> show(const bool& value) { return value ? "true" : "false"; }
  static bool read(const Node& node, bool& to, const FieldReader& field) {
    return detail::read_bool(node, to) || field.wrong(node, "true or false");
  }
};

template <std::integral T>
requires(!std::same_as<T, bool>) struct Codec<T> {
  static void describe(FieldInfo& info) {
    info.type = "int";
    if constexpr (std::is_unsigned_v<T>) info.minimum = "0";
  }
  static std::optional<std::string> show(const T& value) { return std::to_string(value); }
  static bool read(const Node& node, T& to, const FieldReader& field) {
    std::int64_t value = 0;
    if (!detail::read_integer(node, value)) return field.wrong(node, "an integer");
    if (!std::in_range<T>(value)) return field.wrong(node, "an integer within range");
    to = static_cast<T>(value);
    return true;
  }
};

template <>
struct Codec<double> {
  static void describe(FieldInfo& info) { info.type = "number"; }
  static std::optional<std::string> show(const double& value) { return detail::show_number(value); }
  static bool read(const Node& node, double& to, const FieldReader& field) {
    return detail::read_number(node, to) || field.wrong(node, "a number");
  }
};

template <>
struct Codec<std::string> {
  static void describe(FieldInfo& info) { info.type = "string"; }
  static std::optional<std::string> show(const std::string& value) {
    return value.empty() ? std::nullopt : std::optional(value);
  }
  static bool read(const Node& node, std::string& to, const FieldReader& field) {
    return detail::read_text(node, to) || field.wrong(node, "a text");
  }
};

template <>
struct Codec<Secret> {
  static void describe(FieldInfo& info) {
    info.type = "secret";
    info.secret = true;
  }
  static std::optional<std::string> show(const Secret&) { return std::nullopt; }
  static bool read(const Node& node, Secret& to, const FieldReader& field) {
    return detail::read_text(node, to.text) || field.wrong(node, "a text");
  }
};

template <>
struct Codec<Duration> {
  static void describe(FieldInfo& info) { info.type = "duration"; }
  static std::optional<std::string> show(const Duration& value) { return show_duration(value); }
  static bool read(const Node& node, Duration& to, const FieldReader& field);
};

template <>
struct Codec<Bytes> {
  static void describe(FieldInfo& info) { info.type = "size"; }
  static std::optional<std::string> show(const Bytes& value) { return show_bytes(value); }
  static bool read(const Node& node, Bytes& to, const FieldReader& field);
};

template <>
struct Codec<Path> {
  static void describe(FieldInfo& info) { info.type = "path"; }
  static std::optional<std::string> show(const Path& value) {
    return value.path.empty() ? std::nullopt : std::optional(value.path.string());
  }
  static bool read(const Node& node, Path& to, const FieldReader& field);
};

template <>
struct Codec<InputFile> {
  static void describe(FieldInfo& info) { info.type = "file"; }
  static std::optional<std::string> show(const InputFile&) { return std::nullopt; }
  static bool read(const Node& node, InputFile& to, const FieldReader& field);
};

template <>
struct Codec<Node> {
  static void describe(FieldInfo& info) { info.type = "any"; }
  static std::optional<std::string> show(const Node&) { return std::nullopt; }
  static bool read(const Node& node, Node& to, const FieldReader&) {
    to = node;
    return true;
  }
};

template <class T>
struct Codec<std::optional<T>> {
  static void describe(FieldInfo& info) { Codec<T>::describe(info); }
  static std::optional<std::string> show(const std::optional<T>& value) {
    return value ? Codec<T>::show(*value) : std::nullopt;
  }
  static bool read(const Node& node, std::optional<T>& to, const FieldReader& field) {
    T value{};
    if (!Codec<T>::read(node, value, field)) return false;
    to = std::move(value);
    return true;
  }
};

template <class T>
struct Codec<std::vector<T>> {
  static void describe(FieldInfo& info) {
    Codec<T>::describe(info);
    info.shape = FieldInfo::Shape::list;
  }
  static std::optional<std::string> show(const std::vector<T>& value) {
    if (value.empty()) return std::nullopt;
    std::string text = "[";
    for (const T& item : value) text += (text.size() > 1 ? ", " : "") + Codec<T>::show(item).value_or("...");
    return text + "]";
  }
  static bool read(const Node& node, std::vector<T>& to, const FieldReader& field) {
    to.clear();
    if (!node.is_list()) return Codec<T>::read(node, to.emplace_back(), field);
    bool good = true;
    for (const Node& item : node.items) good &= Codec<T>::read(item, to.emplace_back(), field);
    return good;
  }
};

template <class T>
struct Codec<std::vector<std::pair<std::string, T>>> {
  static void describe(FieldInfo& info) {
    Codec<T>::describe(info);
    info.shape = FieldInfo::Shape::map;
  }
  static std::optional<std::string> show(const Map<T>&) { return std::nullopt; }
  static bool read(const Node& node, Map<T>& to, const FieldReader& field) {
    if (!node.is_map()) return field.wrong(node, "a map");
    to.clear();
    bool good = true;
    for (const Entry& entry : node.entries) {
      if (entry.key.empty()) good = detail::refuse_empty_name(entry, field.name, field.problems);
      to.emplace_back(entry.key, T{});
      good &= Codec<T>::read(entry.value, to.back().second, {entry.key, field.info, field.problems});
    }
    return good;
  }
};

template <Described T>
struct Codec<T> {
  static void describe(FieldInfo& info) {
    info.type = "object";
    info.object = declaration_of<T>();
  }
  static std::optional<std::string> show(const T&) { return std::nullopt; }
  static bool read(const Node& node, T& to, const FieldReader& field) {
    return declaration_of<T>()->read(node, to, field.name, field.problems);
  }
};

}  // namespace millrace::config
