#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/config/node.h"

namespace millrace::config {

class Declaration;

/// What is known of one option: the source of checks, JSON Schema, `millrace plugins` and the generated reference.
struct FieldInfo {
  enum class Shape { one, list, map };

  std::string name;
  std::string type;  ///< "string", "int", "number", "bool", "duration", "size", "path", "file", "secret", "object", "any"
  Shape shape = Shape::one;
  std::string doc;  ///< one sentence
  std::optional<std::string> default_text;
  std::vector<std::string> choices;
  std::optional<std::string> minimum, maximum;
  bool required = false;
  bool not_empty = false;  ///< a text, or each of a list, that holds something
  bool secret = false;
  bool reloadable = false;                    ///< a change does not rebuild the stage
  std::shared_ptr<const Declaration> object;  ///< of type "object"

  std::string type_text() const;  ///< for people: "list of string", "map of object", "duration"
};

/// All options of a plugin, or of a nested object, in the order declared.
class Declaration {
 public:
  virtual ~Declaration() = default;
  const std::vector<FieldInfo>& fields() const { return fields_; }

  /// The field that a bare value stands for, where the object may be written short.
  const std::optional<std::string>& shorthand() const { return shorthand_; }

  /// Options without a sentence of documentation; a test demands that there are none. Dotted names for nested ones.
  std::vector<std::string> undocumented() const;

 protected:
  /// Which options of one object in a file read well.
  class Reading {
   public:
    explicit Reading(std::size_t options) : spoilt_(options) {}
    void spoil(std::size_t option) { spoilt_[option] = any_ = true; }
    void spoil() { any_ = true; }

    /// Whether these options are all well; an empty list means all there are.
    bool well(const std::vector<std::size_t>& options) const;

   private:
    std::vector<bool> spoilt_;
    bool any_ = false;
  };

  std::optional<std::size_t> index_of(std::string_view name) const;
  std::vector<std::size_t> indices_of(const std::vector<std::string>& names) const;

  /// A key that is close to an option's name spoils that option: it was meant, and what it says is not known.
  void unknown_key(const Entry& entry, const std::vector<std::string>& also_known, Reading& reading, Problems& problems) const;
  void missing_keys(const Node& node, std::string_view name, Reading& reading, Problems& problems) const;

  std::vector<FieldInfo> fields_;
  std::optional<std::string> shorthand_;
};

}  // namespace millrace::config
