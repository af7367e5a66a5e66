#include "runner/stage/value.h"

#include <algorithm>
#include <cmath>

#include "runner/stage/arena.h"

namespace millrace {

std::string_view name_of(Type type) {
  switch (type) {
    case Type::null: return "null";
    case Type::boolean: return "bool";
    case Type::integer: return "int";
    case Type::real: return "double";
    case Type::string: return "string";
    case Type::bytes: return "bytes";
    case Type::list: return "list";
    case Type::object: return "object";
  }
  return "?";
}

Value Value::copy(Arena& arena) const {
  switch (type_) {
    case Type::string: return string(arena.copy(as_text()));
    case Type::bytes: return bytes(arena.copy(as_text()));
    case Type::list: {
      Value* items = arena.allocate<Value>(size_);
      for (std::uint32_t i = 0; i < size_; ++i) items[i] = items_[i].copy(arena);
      return list({items, size_});
    }
    case Type::object: {
      Field* fields = arena.allocate<Field>(size_);
      for (std::uint32_t i = 0; i < size_; ++i) fields[i] = {arena.copy(fields_[i].name), fields_[i].value.copy(arena)};
      return object({fields, size_});
    }
    default: return *this;
  }
}

bool operator==(const Value& a, const Value& b) {
  if (a.type_ != b.type_) return false;
  switch (a.type_) {
    case Type::null: return true;
    case Type::boolean:
    case Type::integer: return a.integer_ == b.integer_;
    case Type::real: return a.real_ == b.real_ || (std::isnan(a.real_) && std::isnan(b.real_));
    case Type::string:
    case Type::bytes: return a.as_text() == b.as_text();
    case Type::list: return std::ranges::equal(a.as_list(), b.as_list());
    case Type::object:
      return std::ranges::equal(a.as_object(), b.as_object(),
                                [](const Field& x, const Field& y) { return x.name == y.name && x.value == y.value; });
  }
  return false;
}

void FieldList::reserve(Arena& arena, std::size_t count) {
  if (count <= capacity_) return;
  auto capacity = static_cast<std::uint32_t>(std::max<std::size_t>({count, capacity_ * 2U, 4U}));
  Field* data = arena.allocate<Field>(capacity);
  std::copy(begin(), end(), data);
  data_ = data;
  capacity_ = capacity;
}

void FieldList::push(Arena& arena, std::string_view name, Value value) {
  if (size_ == capacity_) reserve(arena, size_ + 1U);
  data_[size_++] = {name, value};
}

void FieldList::set(Arena& arena, std::string_view name, Value value) {
  for (Field& f : *this) {
    if (f.name != name) continue;
    f.value = value;
    return;
  }
  push(arena, name, value);
}

bool FieldList::erase(std::string_view name) {
  Field* found = std::find_if(begin(), end(), [&](const Field& f) { return f.name == name; });
  if (found == end()) return false;
  std::copy(found + 1, end(), found);
  --size_;
  return true;
}

FieldList FieldList::shallow_copy(Arena& arena) const {
  FieldList list;
  list.reserve(arena, size_);
  std::copy(begin(), end(), list.data_);
  list.size_ = size_;
  return list;
}

FieldList FieldList::copy(Arena& arena) const {
  FieldList list;
  list.reserve(arena, size_);
  for (const Field& f : *this) list.data_[list.size_++] = {arena.copy(f.name), f.value.copy(arena)};
  return list;
}

}  // namespace millrace
