#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runner/config/typed_declaration.h"

// How a plugin, or a part of the runner, declares its options: a struct with `static void describe(Fields<T>&)` binds each
// option to a member, whose initialiser is the default.
//
//   struct Config {
//     std::string key = "device";
//     Duration within = 1min;
//     static void describe(Fields<Config>& f) {
//       f.field("key", &Config::key).doc("What separates one series from another: the device, or a field's name.");
//       f.field("within", &Config::within).doc("How far a window looks back.").min(1ms).max(168h);
//     }
//   };
//
// Members may be bool, integers, double, std::string, Duration, Bytes, Path, InputFile, Secret, Node (anything, for the stage
// to read itself), other such structs, enums (with choice()), and std::optional, std::vector and Map of these. Where a list is
// wanted, a single value is taken as a list of one.

namespace millrace::config {

namespace detail {

/// The plain value inside an optional, list or map.
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

}  // namespace detail

/// Refines the option just declared; every option needs doc().
template <class C, class T>
class FieldBuilder {
 public:
  using Plain = typename detail::Element<T>::type;

  FieldBuilder(TypedDeclaration<C>& declaration, std::size_t index) : declaration_(declaration), index_(index) {}

  /// One sentence for people, with units and what happens at the limits.
  FieldBuilder& doc(std::string text) {
    info().doc = std::move(text);
    return *this;
  }
  FieldBuilder& required() {
    info().required = true;
    info().default_text.reset();
    return *this;
  }
  FieldBuilder& secret() {
    info().secret = true;
    info().default_text.reset();
    return *this;
  }
  FieldBuilder& reloadable() {
    info().reloadable = true;
    return *this;
  }

  /// Inclusive limits, of each element where the option is a list.
  template <class V>
  FieldBuilder& min(V limit) {
    auto text = Codec<Plain>::show(Plain(limit)).value_or("");
    info().minimum = text;
    return refuse([least = Plain(limit)](const Plain& value) { return value < least; }, "at least " + text);
  }
  template <class V>
  FieldBuilder& max(V limit) {
    auto text = Codec<Plain>::show(Plain(limit)).value_or("");
    info().maximum = text;
    return refuse([most = Plain(limit)](const Plain& value) { return value > most; }, "at most " + text);
  }

  /// An empty text is refused.
  FieldBuilder& not_empty() {
    static_assert(std::same_as<Plain, std::string>, "not_empty is for texts");
    info().not_empty = true;
    return refuse([](const Plain& value) { return value.empty(); }, "a text that is not empty");
  }

  /// The stage reads the file by itself: what the file holds is part of what the stage is, and a change makes a new one.
  FieldBuilder& watched() {
    static_assert(std::same_as<Plain, Path>, "watched is for paths; an InputFile always is");
    declaration_.bindings_[index_].limits.push_back([](const Node& node, Problems& problems) {
      detail::each_element(node, [&](const Node& item) {
        if (item.is_scalar() && !item.unknown && !item.text.empty()) problems.watch(item.text);
      });
    });
    return *this;
  }

  /// The texts that a string option may have.
  FieldBuilder& one_of(std::vector<std::string> texts) {
    static_assert(std::same_as<Plain, std::string>, "one_of is for texts; enums have choice()");
    info().choices = texts;
    std::string expected = "one of " + detail::name_list(texts);
    return refuse(
        [known = std::move(texts)](const Plain& value) { return std::find(known.begin(), known.end(), value) == known.end(); },
        std::move(expected));
  }

 private:
  FieldInfo& info() { return declaration_.fields_[index_]; }

  /// Reads each element again as a plain value, so that the message stands at the one that breaks the limit.
  FieldBuilder& refuse(std::function<bool(const Plain&)> breaks, std::string expected) {
    auto limit = [declaration = &declaration_, index = index_, breaks = std::move(breaks), expected = std::move(expected)](
                     const Node& node, Problems& problems) {
      const FieldInfo& field = declaration->fields_[index];
      detail::each_element(node, [&](const Node& item) {
        Plain value{};
        Problems ignored{problems.file()};
        if (Codec<Plain>::read(item, value, {field.name, field, ignored}) && breaks(value))
          detail::complain(item, field.name, expected, field.secret, problems);
      });
    };
    declaration_.bindings_[index_].limits.push_back(std::move(limit));
    return *this;
  }

  TypedDeclaration<C>& declaration_;
  std::size_t index_;
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
    info.name = std::move(name);
    Codec<T>::describe(info);
    C defaults{};
    info.default_text = Codec<T>::show(defaults.*member);
    return bind<T>(std::move(info), member, [member](const Node& node, C& to, const FieldInfo& field, Problems& problems) {
      return Codec<T>::read(node, to.*member, {field.name, field, problems});
    });
  }

  /// An option that is one of a few words, each standing for a value: enums.
  template <class T>
  FieldBuilder<C, std::string> choice(std::string name, T C::*member,
                                      std::vector<std::pair<std::string, typename detail::Element<T>::type>> values) {
    FieldInfo info;
    info.name = std::move(name);
    info.type = "string";
    C defaults{};
    for (const auto& [word, value] : values) {
      info.choices.push_back(word);
      if (defaults.*member == value) info.default_text = word;
    }
    return bind<std::string>(
        std::move(info), member,
        [member, values = std::move(values)](const Node& node, C& to, const FieldInfo& field, Problems& problems) {
          std::string text;
          bool is_text = detail::read_text(node, text);
          auto chosen = std::find_if(values.begin(), values.end(), [&](const auto& v) { return is_text && v.first == text; });
          if (chosen == values.end()) {
            detail::complain(node, field.name, "one of " + detail::name_list(field.choices), field.secret, problems);
            return false;
          }
          to.*member = chosen->second;
          return true;
        });
  }

  /// Where a bare value is given in place of the map, it is this option's.
  void shorthand(std::string name) { declaration_.shorthand_ = std::move(name); }

  /// Checks what no single option can know; made only if all options could be read.
  void check(std::function<void(const C&, CheckReport<C>&)> run) { declaration_.checks_.push_back({{}, std::move(run)}); }

  /// The same of some options, declared before: made if these could be read, whatever is wrong elsewhere.
  void check(const std::vector<std::string>& options, std::function<void(const C&, CheckReport<C>&)> run) {
    declaration_.checks_.push_back({declaration_.indices_of(options), std::move(run)});
  }

 private:
  template <class T, class M, class Read>
  FieldBuilder<C, T> bind(FieldInfo info, M C::*member, Read read) {
    std::size_t index = declaration_.fields_.size();
    declaration_.fields_.push_back(std::move(info));
    declaration_.bindings_.push_back(
        {[declaration = &declaration_, index, read = std::move(read)](const Node& node, C& to, Problems& problems) {
           return read(node, to, declaration->fields_[index], problems);
         },
         [member](C& to) { to.*member = C{}.*member; },
         {}});
    return {declaration_, index};
  }

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

}  // namespace millrace::config
