#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

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
  std::vector<FieldInfo> fields_;
  std::optional<std::string> shorthand_;
};

}  // namespace millrace::config
