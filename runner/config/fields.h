#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
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

/// An options struct: `static void describe(Fields<T>&)` binds each option to a member, whose initialiser is the default.
///
///   struct Config {
///     std::string key = "device";
///     Duration within = 1min;
///     static void describe(Fields<Config>& f) {
///       f.field("key", &Config::key).doc("What separates one series from another: the device, or a field's name.");
///       f.field("within", &Config::within).doc("How far a window looks back.").min(1ms).max(168h);
///     }
///   };
///
/// Members may be bool, integers, double, std::string, Duration, Bytes, Path, InputFile, Secret, Node (anything, for the stage
/// to read itself), other such structs, enums (with choice()), and std::optional, std::vector and Map of these. Where a list is
/// wanted, a single value is taken as a list of one.
template <class T>
concept Described = requires(Fields<T>& f) {
  T::describe(f);
};

template <class T>
class TypedDeclaration;

template <class T>
const std::shared_ptr<const TypedDeclaration<T>>& declaration_of();

/// How a member type is read from a node and described.
template <class T>
struct Codec;

namespace detail {

bool read_bool(const Node& node, bool& to);
bool read_integer(const Node& node, std::int64_t& to);
bool read_number(const Node& node, double& to);
bool read_text(const Node& node, std::string& to);
std::string show_number(double number);
void complain(const Node& node, std::string_view name, std::string_view expected, bool secret, Problems& problems);

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

/// Says what is wrong between fields, at a field's place.
template <class C>
class CheckReport {
 public:
  CheckReport(const Node& node, Problems& problems) : node_(node), problems_(problems) {}

  /// `field` is the name of an option of this object ("" for the object itself).
  void wrong(std::string_view field, std::string what) {
    const Node* at = node_.find(field);
    problems_.add(at ? at->position : node_.position, std::move(what));
  }
  /// Whether the file names the option at all.
  bool given(std::string_view field) const { return node_.find(field) != nullptr; }

 private:
  const Node& node_;
  Problems& problems_;
};

/// Refines the option just declared; every option needs doc().
template <class C, class T>
class FieldBuilder {
 public:
  FieldBuilder(TypedDeclaration<C>& declaration, std::size_t index) : declaration_(declaration), index_(index) {}

  /// One sentence for people, with units and what happens at the limits.
  FieldBuilder& doc(std::string text) {
    return change([&](FieldInfo& i) { i.doc = std::move(text); });
  }
  FieldBuilder& required() {
    return change([](FieldInfo& i) {
      i.required = true;
      i.default_text.reset();
    });
  }
  FieldBuilder& secret() {
    return change([](FieldInfo& i) {
      i.secret = true;
      i.default_text.reset();
    });
  }
  FieldBuilder& reloadable() {
    return change([](FieldInfo& i) { i.reloadable = true; });
  }

  /// Inclusive limits, of each element where the option is a list.
  template <class V>
  FieldBuilder& min(V limit);
  template <class V>
  FieldBuilder& max(V limit);

  /// The texts that a string option may have.
  FieldBuilder& one_of(std::vector<std::string> texts);

 private:
  template <class F>
  FieldBuilder& change(F&& f);

  TypedDeclaration<C>& declaration_;
  std::size_t index_;
};

namespace detail {

template <class T>
struct Element {
  using type = T;
};
template <class T>
struct Element<std::optional<T>> : Element<T> {};
template <class T>
struct Element<std::vector<T>> : Element<T> {};
template <class T>
struct Element<std::vector<std::pair<std::string, T>>> : Element<T> {};

/// Calls `f` on each plain value inside an optional, list or map.
template <class T, class F>
void each(const T& value, F&& f) {
  f(value);
}
template <class T, class F>
void each(const std::optional<T>& value, F&& f) {
  if (value) each(*value, f);
}
template <class T, class F>
void each(const std::vector<T>& values, F&& f) {
  for (const T& value : values) each(value, f);
}

std::string name_list(const std::vector<std::string>& names);

}  // namespace detail

/// The options of struct C, bound to its members.
template <class C>
class TypedDeclaration final : public Declaration {
 public:
  /// Reads a map (or the shorthand's bare value) into `to`; false, with problems added, if anything is wrong. Keys listed in
  /// `also_known` belong to somebody else and are passed over.
  bool read(const Node& node, C& to, std::string_view name, Problems& problems,
            const std::vector<std::string>& also_known = {}) const {
    std::size_t before = problems.size();
    if (!node.is_map()) return read_short(node, to, name, problems);
    for (const Entry& entry : node.entries) {
      if (const Binding* binding = find(entry.key)) {
        if (binding->read(entry.value, to, problems))
          for (const auto& check : binding->checks) check(entry.value, to, problems);
        continue;
      }
      if (std::find(also_known.begin(), also_known.end(), entry.key) != also_known.end()) continue;
      std::vector<std::string> known = also_known;
      for (const FieldInfo& f : fields_) known.push_back(f.name);
      problems.add(entry.position, "unknown key '" + entry.key + "'" + did_you_mean(entry.key, known));
    }
    for (const FieldInfo& f : fields_)
      if (f.required && !node.find(f.name))
        problems.add(node.position, "missing key '" + f.name + "'" + (name.empty() ? "" : " of '" + std::string(name) + "'"));
    if (problems.size() != before) return false;
    CheckReport<C> report(node, problems);
    for (const auto& check : checks_) check(to, report);
    return problems.size() == before;
  }

 private:
  friend class Fields<C>;
  template <class, class>
  friend class FieldBuilder;

  struct Binding {
    std::function<bool(const Node&, C&, Problems&)> read;
    std::vector<std::function<void(const Node&, const C&, Problems&)>> checks;
  };

  const Binding* find(std::string_view name) const {
    for (std::size_t i = 0; i < fields_.size(); ++i)
      if (fields_[i].name == name) return &bindings_[i];
    return nullptr;
  }

  bool read_short(const Node& node, C& to, std::string_view name, Problems& problems) const {
    if (shorthand_ && node.kind != Node::Kind::null) {
      const Binding* binding = find(*shorthand_);
      std::size_t before = problems.size();
      if (binding->read(node, to, problems))
        for (const auto& check : binding->checks) check(node, to, problems);
      if (problems.size() != before) return false;
      CheckReport<C> report(node, problems);
      for (const auto& check : checks_) check(to, report);
      return problems.size() == before;
    }
    detail::complain(node, name, "a map", false, problems);
    return false;
  }

  std::vector<Binding> bindings_;
  std::vector<std::function<void(const C&, CheckReport<C>&)>> checks_;
};

/// What describe() is given.
template <class C>
class Fields {
 public:
  explicit Fields(TypedDeclaration<C>& declaration) : declaration_(declaration) {}

  /// Binds option `name` to a member; the default is what the member holds in a fresh C.
  template <class T>
  FieldBuilder<C, T> field(std::string name, T C::*member) {
    FieldInfo info;
    info.name = name;
    Codec<T>::describe(info);
    C defaults{};
    info.default_text = Codec<T>::show(defaults.*member);
    std::size_t index = declaration_.fields_.size();
    declaration_.fields_.push_back(std::move(info));
    auto* declaration = &declaration_;
    declaration_.bindings_.push_back({[declaration, index, member](const Node& node, C& to, Problems& problems) {
                                        const FieldInfo& f = declaration->fields_[index];
                                        return Codec<T>::read(node, to.*member, {f.name, f, problems});
                                      },
                                      {}});
    return {declaration_, index};
  }

  /// An option that is one of a few words, each standing for a value: enums.
  template <class T>
  FieldBuilder<C, std::string> choice(std::string name, T C::*member,
                                      std::vector<std::pair<std::string, typename detail::Element<T>::type>> values) {
    FieldInfo info;
    info.name = name;
    info.type = "string";
    C defaults{};
    for (const auto& [word, value] : values) {
      info.choices.push_back(word);
      if (defaults.*member == value) info.default_text = word;
    }
    std::size_t index = declaration_.fields_.size();
    declaration_.fields_.push_back(std::move(info));
    auto* declaration = &declaration_;
    declaration_.bindings_.push_back(
        {[declaration, index, member, values = std::move(values)](const Node& node, C& to, Problems& problems) {
           const FieldInfo& f = declaration->fields_[index];
           std::string text;
           if (detail::read_text(node, text)) {
             for (const auto& [word, value] : values) {
               if (word != text) continue;
               to.*member = value;
               return true;
             }
           }
           detail::complain(node, f.name, "one of " + detail::name_list(f.choices), f.secret, problems);
           return false;
         },
         {}});
    return {declaration_, index};
  }

  /// Where a bare value is given in place of the map, it is this option's.
  void shorthand(std::string name) { declaration_.shorthand_ = std::move(name); }

  /// Checks what no single option can know; called only if all options could be read.
  void check(std::function<void(const C&, CheckReport<C>&)> f) { declaration_.checks_.push_back(std::move(f)); }

 private:
  TypedDeclaration<C>& declaration_;
};

template <class T>
const std::shared_ptr<const TypedDeclaration<T>>& declaration_of() {
  static const std::shared_ptr<const TypedDeclaration<T>> declaration = [] {
    auto made = std::make_shared<TypedDeclaration<T>>();
    Fields<T> fields(*made);
    T::describe(fields);
    return made;
  }();
  return declaration;
}

template <class C, class T>
template <class F>
FieldBuilder<C, T>& FieldBuilder<C, T>::change(F&& f) {
  f(declaration_.fields_[index_]);
  return *this;
}

namespace detail {

/// Adds a limit: reads the node again as a plain value, so that the message stands at the element that breaks it.
template <class C, class T, class Limit, class Breaks>
std::function<void(const Node&, const C&, Problems&)> limit_check(const FieldInfo* info, Limit limit, Breaks breaks,
                                                                  std::string expected) {
  using V = typename Element<T>::type;
  return [info, limit, breaks, expected](const Node& node, const C&, Problems& problems) {
    auto one = [&](const Node& item) {
      V value{};
      Problems ignored{problems.file()};
      if (Codec<V>::read(item, value, {info->name, *info, ignored}) && breaks(value, limit))
        complain(item, info->name, expected, info->secret, problems);
    };
    if (node.is_list())
      for (const Node& item : node.items) one(item);
    else if (node.is_map())
      for (const Entry& entry : node.entries) one(entry.value);
    else
      one(node);
  };
}

}  // namespace detail

template <class C, class T>
template <class V>
FieldBuilder<C, T>& FieldBuilder<C, T>::min(V limit) {
  using Plain = typename detail::Element<T>::type;
  auto text = Codec<Plain>::show(Plain(limit)).value_or("");
  change([&](FieldInfo& i) { i.minimum = text; });
  auto declaration = &declaration_;
  auto index = index_;
  declaration_.bindings_[index_].checks.push_back([=](const Node& node, const C& c, Problems& problems) {
    detail::limit_check<C, T>(&declaration->fields_[index], Plain(limit), std::less<>{}, "at least " + text)(node, c, problems);
  });
  return *this;
}

template <class C, class T>
template <class V>
FieldBuilder<C, T>& FieldBuilder<C, T>::max(V limit) {
  using Plain = typename detail::Element<T>::type;
  auto text = Codec<Plain>::show(Plain(limit)).value_or("");
  change([&](FieldInfo& i) { i.maximum = text; });
  auto declaration = &declaration_;
  auto index = index_;
  declaration_.bindings_[index_].checks.push_back([=](const Node& node, const C& c, Problems& problems) {
    detail::limit_check<C, T>(&declaration->fields_[index], Plain(limit), std::greater<>{}, "at most " + text)(node, c,
                                                                                                               problems);
  });
  return *this;
}

template <class C, class T>
FieldBuilder<C, T>& FieldBuilder<C, T>::one_of(std::vector<std::string> texts) {
  static_assert(std::same_as<typename detail::Element<T>::type, std::string>, "one_of is for texts; enums have choice()");
  change([&](FieldInfo& i) { i.choices = texts; });
  auto declaration = &declaration_;
  auto index = index_;
  declaration_.bindings_[index_].checks.push_back([=](const Node& node, const C& c, Problems& problems) {
    auto unknown = [](const std::string& value, const std::vector<std::string>& known) {
      return std::find(known.begin(), known.end(), value) == known.end();
    };
    detail::limit_check<C, T>(&declaration->fields_[index], texts, unknown, "one of " + detail::name_list(texts))(node, c,
                                                                                                                  problems);
  });
  return *this;
}

}  // namespace millrace::config
