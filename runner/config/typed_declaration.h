#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/config/codec.h"

namespace millrace::config {

/// Says what is wrong between options, at an option's place.
template <class C>
class CheckReport {
 public:
  CheckReport(const Node& node, Problems& problems) : node_(node), problems_(problems) {}

  /// `option` is the name of an option of this object ("" for the object itself).
  void wrong(std::string_view option, std::string what) { wrong_at({option}, std::move(what)); }

  /// The same further in: keys of maps and numbers of list items, from this object on. Where the file has no such node, the
  /// last one that it has on the way.
  void wrong_at(std::initializer_list<std::string_view> path, std::string what) {
    problems_.add(node_.along(path).position, std::move(what));
  }

  /// Whether the file names the option at all.
  bool given(std::string_view option) const { return node_.find(option) != nullptr; }

 private:
  const Node& node_;
  Problems& problems_;
};

/// The options of struct C, bound to its members.
template <class C>
class TypedDeclaration final : public Declaration {
 public:
  /// Reads a map (or the shorthand's bare value) into `to`; false, with problems reported, if anything is wrong. Keys listed in
  /// `also_known` belong to somebody else and are passed over. One mistake hides no other: all options are read, one that is
  /// wrong keeps its default, and each check between options is made whose own options are well.
  bool read(const Node& node, C& to, std::string_view name, Problems& problems,
            const std::vector<std::string>& also_known = {}) const {
    const std::size_t before = problems.size();
    Reading reading(fields_.size());
    if (node.is_map()) {
      for (const Entry& entry : node.entries) {
        if (auto index = index_of(entry.key)) {
          read_option(*index, entry.value, to, reading, problems);
        } else {
          unknown_key(entry, also_known, reading, problems);
        }
      }
      missing_keys(node, name, reading, problems);
    } else if (shorthand_ && node.kind != Node::Kind::null) {
      read_option(*index_of(*shorthand_), node, to, reading, problems);
    } else {
      detail::complain(node, name, "a map", false, problems);
      return false;
    }
    CheckReport<C> report(node, problems);
    for (const Check& check : checks_)
      if (reading.well(check.needs)) check.run(to, report);
    return problems.size() == before && reading.well({});
  }

 private:
  friend class Fields<C>;
  template <class, class>
  friend class FieldBuilder;

  struct Binding {
    std::function<bool(const Node&, C&, Problems&)> read;
    std::function<void(C&)> reset;
    std::vector<std::function<void(const Node&, Problems&)>> limits;
  };
  struct Check {
    std::vector<std::size_t> needs;
    std::function<void(const C&, CheckReport<C>&)> run;
  };

  void read_option(std::size_t index, const Node& node, C& to, Reading& reading, Problems& problems) const {
    const std::size_t before = problems.size();
    bool good = bindings_[index].read(node, to, problems);
    for (const auto& limit : bindings_[index].limits) limit(node, problems);
    if (good && problems.size() == before) return;
    bindings_[index].reset(to);
    reading.spoil(index);
  }

  std::vector<Binding> bindings_;
  std::vector<Check> checks_;
};

}  // namespace millrace::config
