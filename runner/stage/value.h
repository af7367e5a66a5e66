#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace millrace {

class Arena;
struct Field;

enum class Type : std::uint8_t { null, boolean, integer, real, string, bytes, list, object };

/// The name of a type as messages to people use it: "null", "bool", "int", "double", "string", "bytes", "list", "object".
std::string_view name_of(Type type);

/// One value of a field: 16 bytes, copied freely. Texts, lists and objects are views into the Arena of the batch that the
/// record belongs to (or static storage), and never change once built: a stage that alters a nested value builds a new one.
class Value {
 public:
  constexpr Value() : integer_(0) {}
  static constexpr Value null() { return {}; }
  static constexpr Value boolean(bool b) {
    Value v;
    v.type_ = Type::boolean;
    v.integer_ = b ? 1 : 0;
    return v;
  }
  static constexpr Value integer(std::int64_t i) {
    Value v;
    v.type_ = Type::integer;
    v.integer_ = i;
    return v;
  }
  static constexpr Value real(double d) {
    Value v;
    v.type_ = Type::real;
    v.real_ = d;
    return v;
  }
  /// UTF-8 text.
  static constexpr Value string(std::string_view text) {
    Value v;
    v.type_ = Type::string;
    v.size_ = static_cast<std::uint32_t>(text.size());
    v.text_ = text.data();
    return v;
  }
  static constexpr Value bytes(std::string_view raw) {
    Value v = string(raw);
    v.type_ = Type::bytes;
    return v;
  }
  static constexpr Value list(std::span<const Value> items) {
    Value v;
    v.type_ = Type::list;
    v.size_ = static_cast<std::uint32_t>(items.size());
    v.items_ = items.data();
    return v;
  }
  static constexpr Value object(std::span<const Field> fields);

  constexpr Type type() const { return type_; }
  constexpr bool is_null() const { return type_ == Type::null; }

  // Each of these must only be called on a value of that type.
  constexpr bool as_boolean() const { return integer_ != 0; }
  constexpr std::int64_t as_integer() const { return integer_; }
  constexpr double as_real() const { return real_; }
  constexpr std::string_view as_text() const { return {text_, size_}; }  ///< string or bytes
  constexpr std::span<const Value> as_list() const { return {items_, size_}; }
  constexpr std::span<const Field> as_object() const;

  /// The value as a number, if it is an integer or a real.
  constexpr std::optional<double> number() const {
    if (type_ == Type::real) return real_;
    if (type_ == Type::integer) return static_cast<double>(integer_);
    return std::nullopt;
  }

  /// A deep copy whose texts, lists and objects live in `arena`.
  Value copy(Arena& arena) const;

  /// Equal in type and content; 1 and 1.0 differ. NaN equals NaN.
  friend bool operator==(const Value& a, const Value& b);

 private:
  Type type_ = Type::null;
  std::uint32_t size_ = 0;
  union {
    std::int64_t integer_;
    double real_;
    const char* text_;
    const Value* items_;
    const Field* fields_;
  };
};

/// A named value: of a record, of its meta, of an object.
struct Field {
  std::string_view name;
  Value value;
};

constexpr Value Value::object(std::span<const Field> fields) {
  Value v;
  v.type_ = Type::object;
  v.size_ = static_cast<std::uint32_t>(fields.size());
  v.fields_ = fields.data();
  return v;
}

constexpr std::span<const Field> Value::as_object() const { return {fields_, size_}; }

static_assert(sizeof(Value) == 16);

/// An ordered list of fields, its storage in an Arena. Small: a record has a handful, so a look-up is a scan. Copying the list
/// copies the view, not the fields: Batch::copy and Record::copy give a list of its own.
class FieldList {
 public:
  constexpr std::size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr Field* begin() { return data_; }
  constexpr Field* end() { return data_ + size_; }
  constexpr const Field* begin() const { return data_; }
  constexpr const Field* end() const { return data_ + size_; }
  constexpr Field& operator[](std::size_t i) { return data_[i]; }
  constexpr const Field& operator[](std::size_t i) const { return data_[i]; }
  constexpr std::span<const Field> view() const { return {data_, size_}; }

  /// The field called `name`, or null. The pointer holds until the list changes.
  const Value* find(std::string_view name) const {
    for (const Field& f : *this)
      if (f.name == name) return &f.value;
    return nullptr;
  }

  /// Appends without looking whether the name is there already; name and value must live in `arena` or longer.
  void push(Arena& arena, std::string_view name, Value value);

  /// Replaces the field called `name` in place, or appends it. As push, copies nothing.
  void set(Arena& arena, std::string_view name, Value value);

  /// Removes the field called `name`, keeping the others' order; false if there was none.
  bool erase(std::string_view name);

  void clear() { size_ = 0; }

  /// A list of the first `size` of `capacity` fields that an arena holds already.
  static FieldList adopt(Field* fields, std::size_t size, std::size_t capacity) {
    FieldList list;
    list.data_ = fields;
    list.size_ = static_cast<std::uint32_t>(size);
    list.capacity_ = static_cast<std::uint32_t>(capacity);
    return list;
  }

  /// Storage for at least `count` fields without another move.
  void reserve(Arena& arena, std::size_t count);

  /// A list of its own storage in `arena`; names and texts stay where they are.
  FieldList shallow_copy(Arena& arena) const;

  /// A list whose names and values, too, live in `arena`.
  FieldList copy(Arena& arena) const;

 private:
  Field* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
};

}  // namespace millrace
