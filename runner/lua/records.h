#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "runner/lua/interpreter.h"
#include "runner/stage/record.h"

namespace millrace::lua {

/// What scripts see of records. A record, its meta, and each object or list inside it is a handle: a light userdata of a call's
/// number and a place's, so handing a record to Lua allocates nothing, a field costs only when it is touched, and a handle kept
/// beyond its call is recognised and refused instead of showing another record.
///
/// Reads go straight to the batch. A write to a record changes its field list; a write inside an object or list copies that
/// container once, then the new value replaces the old in each container above it. Assigning copies: after `r.b = r.a` the two
/// are independent. The same place read twice is the same handle.
class Records {
 public:
  /// `interpreter` must outlive this.
  explicit Records(Interpreter& interpreter);

  /// Adds the metatable of handles and the globals Record, null and list. Fails only for want of memory.
  Result<void> open();

  /// New names, texts and lists go into `arena` from here on, until end(). Scripts may let it grow by their memory limit,
  /// counted from when it held `start` bytes: a batch's arena only grows, also by what failing calls leave in it.
  void use(Arena& arena, std::size_t start);

  /// Voids all handles and forgets the arena.
  void end() {
    begin(nullptr);
    arena_ = nullptr;
  }

  /// Begins a call about `record`, or about none. Earlier handles are void.
  void begin(Record* record);

  void push_record(lua_State* L) const { push_handle(L, kRecordNode); }
  void push_meta(lua_State* L) const { push_handle(L, kMetaNode); }

  /// Puts the record of this call back as it was when the call began.
  void restore();

  enum class Returned : std::uint8_t { nothing, itself, several };

  /// Judges what a script's function left on top of the stack: nil, the record, or a record or list of records that is then in
  /// returned(). Raises on anything else.
  Returned take(lua_State* L, const char* function);
  const std::vector<Record>& returned() const { return returned_; }

 private:
  using NodeId = std::uint16_t;
  static constexpr NodeId kRecordNode = 0;
  static constexpr NodeId kMetaNode = 1;
  static constexpr NodeId kDetached = 0xffff;
  static constexpr std::size_t kLongScan = 32;  // fields that a look-up passes for the price of its call

  enum class Kind : std::uint8_t { record, meta, object, list };

  /// A place that a handle points to.
  struct Node {
    Kind kind = Kind::object;
    bool own = false;            // an object's or list's storage is this node's alone and may be written in place
    bool emitted = false;        // a record already returned once in this call
    NodeId parent = kDetached;   // the container that shows this node's changes
    std::uint32_t position = 0;  // in a parent that is a list
    std::uint32_t capacity = 0;  // of an own list
    std::string_view name;       // in any other parent
    Record* record = nullptr;    // of a record or meta
    FieldList fields;            // of an own object
    Value value;                 // of an object or list
  };

  /// Where a name was last found, and its copy in the arena. Only a guess: both are compared before use.
  struct Hint {
    const char* key = nullptr;
    std::uint32_t position = 0;
    std::uint32_t arena_serial = 0;
    std::string_view name;
  };

  static Records& of(lua_State* L) { return *static_cast<Records*>(Interpreter::of(L).view); }
  static int add_to_state(lua_State* L);
  static int index(lua_State* L);
  static int new_index(lua_State* L);
  static int length(lua_State* L);
  static int pairs(lua_State* L);
  static int next(lua_State* L);
  static int to_string(lua_State* L);
  static int make_record(lua_State* L);
  static int refuse_operation(lua_State* L);

  void push_handle(lua_State* L, NodeId node) const;
  NodeId node_at(lua_State* L, int index, const char* use);
  std::uint64_t handle(NodeId node) const { return (call_ << 16U) | node; }

  std::span<Field> fields_of(Node& node);
  Field* find(lua_State* L, std::span<Field> fields, const char* key, std::string_view name);
  Field* scan(lua_State* L, std::span<Field> fields, const char* key, std::string_view name);
  Hint& hint_of(const char* key) { return hints_[(reinterpret_cast<std::uintptr_t>(key) >> 4U) % hints_.size()]; }
  std::string_view keep_name(lua_State* L, const char* key, std::string_view name);
  void make_room(lua_State* L, std::size_t bytes);

  int push_value(lua_State* L, const Value& value, NodeId parent, std::string_view name, std::uint32_t position);
  NodeId child(lua_State* L, NodeId parent, std::string_view name, std::uint32_t position, const Value& value);
  void detach(lua_State* L, NodeId parent, std::string_view name, std::uint32_t position);

  int index_meta(lua_State* L, const Record& record);
  void set_meta(lua_State* L, Record& record, int name_index);
  void set_field(lua_State* L, NodeId node);
  void set_item(lua_State* L, NodeId node);
  void store(lua_State* L, NodeId node, const char* key, std::string_view name, Value value);
  void own_object(lua_State* L, Node& node);
  void own_list(lua_State* L, Node& node, std::size_t capacity);
  void publish(lua_State* L, NodeId node);
  void set_in(lua_State* L, FieldList& fields, const Node& child);
  void touch(const Node& node);

  Value to_value(lua_State* L, int index, int depth);
  Value table_value(lua_State* L, int index, int depth);
  Value snapshot(lua_State* L, Node& node);
  NodeId new_node(lua_State* L, Kind kind);
  const Record& returned_record(lua_State* L, int index, const char* function);

  Interpreter& interpreter_;
  Arena* arena_ = nullptr;
  std::uint32_t arena_serial_ = 0;
  std::size_t arena_start_ = 0;
  std::uint64_t call_ = 0;
  Record* record_ = nullptr;
  std::vector<Node> nodes_;
  std::deque<Record> made_;
  std::vector<Record> returned_;
  std::array<Hint, 64> hints_;
  std::string_view last_null_;

  bool fields_touched_ = false;
  bool meta_touched_ = false;
  std::vector<Field> original_fields_;
  Record original_;
};

}  // namespace millrace::lua
