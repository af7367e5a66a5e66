#include "runner/link/wire.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace millrace::link::wire {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t deepest = 64;  // of a value
constexpr std::size_t wrapping = 3;  // the list of records, the record, its fields

/// Thrown by whatever finds that the bytes are not what they should be; caught by decode and decode_batch.
struct Malformed {
  const char* what;
};

Value to_value(const Json& json, Arena& arena, std::size_t depth = 0) {
  if (depth > deepest) throw Malformed{"nested too deep"};
  switch (json.type()) {
    case Json::value_t::boolean: return Value::boolean(json.get<bool>());
    case Json::value_t::number_integer: return Value::integer(json.get<std::int64_t>());
    case Json::value_t::number_unsigned: {
      auto number = json.get<std::uint64_t>();
      if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        throw Malformed{"an integer out of range"};
      return Value::integer(static_cast<std::int64_t>(number));
    }
    case Json::value_t::number_float: return Value::real(json.get<double>());
    case Json::value_t::string: return Value::string(arena.copy(json.get_ref<const std::string&>()));
    case Json::value_t::binary: {
      const auto& raw = json.get_binary();
      return Value::bytes(arena.copy({reinterpret_cast<const char*>(raw.data()), raw.size()}));
    }
    case Json::value_t::array: {
      Value* items = arena.allocate<Value>(json.size());
      for (std::size_t i = 0; i < json.size(); ++i) items[i] = to_value(json[i], arena, depth + 1);
      return Value::list({items, json.size()});
    }
    case Json::value_t::object: {
      Field* fields = arena.allocate<Field>(json.size());
      std::size_t i = 0;
      for (const auto& [name, value] : json.items()) fields[i++] = {arena.copy(name), to_value(value, arena, depth + 1)};
      return Value::object({fields, json.size()});
    }
    default: return Value::null();
  }
}

FieldList to_fields(const Json& json, Arena& arena) {
  if (!json.is_object()) throw Malformed{"fields that are no map"};
  FieldList fields;
  fields.reserve(arena, json.size());
  for (const auto& [name, value] : json.items()) fields.push(arena, arena.copy(name), to_value(value, arena));
  return fields;
}

std::string packed(char type, const Json& json) {
  std::string out(1, type);
  Json::to_msgpack(json, out);
  return out;
}

/// Follows the nesting and nothing else: the library's own parser goes as deep on the stack as foreign bytes tell it to.
class DepthCheck final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= deepest + wrapping; }
  bool start_array(std::size_t) override { return ++depth_ <= deepest + wrapping; }
  bool end_object() override { return --depth_, true; }
  bool end_array() override { return --depth_, true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  std::size_t depth_ = 0;
};

Json unpacked(std::string_view bytes) {
  DepthCheck check;
  if (!Json::sax_parse(bytes.begin(), bytes.end(), &check, nlohmann::detail::input_format_t::msgpack))
    throw Malformed{"not MessagePack, or nested too deep"};
  Json json = Json::from_msgpack(bytes.begin(), bytes.end(), true, false);
  if (json.is_discarded() || !json.is_array()) throw Malformed{"not MessagePack"};
  return json;
}

std::uint64_t number_at(const Json& json, std::size_t i) {
  if (json.size() <= i || !json[i].is_number_unsigned()) throw Malformed{"a number is missing"};
  return json[i].get<std::uint64_t>();
}

std::string text_at(const Json& json, std::size_t i) {
  if (json.size() <= i || !json[i].is_string()) throw Malformed{"a text is missing"};
  return json[i].get<std::string>();
}

void append_number(std::string& out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>((number >> shift) & 0xFFU);
}

std::uint64_t take_number(std::string_view& in) {
  if (in.size() < 8) throw Malformed{"cut short"};
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8U | static_cast<unsigned char>(in[static_cast<std::size_t>(i)]);
  in.remove_prefix(8);
  return number;
}

struct Encoder {
  std::string operator()(const Hello& m) const { return packed('H', {m.reader, m.session}); }
  std::string operator()(const Welcome& m) const { return packed('W', {m.epoch, m.session, m.first}); }
  std::string operator()(const Refusal& m) const { return packed('R', Json::array({m.why})); }
  // The payload is large and packed already: its numbers stand in front of it, big-endian.
  std::string operator()(const Numbered& m) const {
    std::string out(1, 'B');
    append_number(out, m.epoch);
    append_number(out, m.number);
    return out.append(m.payload);
  }
  std::string operator()(const Pulse& m) const { return packed('P', {m.epoch, m.sent}); }
  std::string operator()(const Credit& m) const { return packed('C', {m.epoch, m.up_to}); }
  std::string operator()(const Settled& m) const { return packed('S', {m.epoch, m.numbers}); }
  std::string operator()(const Again& m) const { return packed('A', {m.epoch, m.from}); }
};

Message decode_or_throw(std::string_view frame) {
  if (frame.empty()) throw Malformed{"empty"};
  char type = frame.front();
  frame.remove_prefix(1);
  if (type == 'B') {
    Numbered m;
    m.epoch = take_number(frame);
    m.number = take_number(frame);
    m.payload = frame;
    return m;
  }
  Json json = unpacked(frame);
  switch (type) {
    case 'H': return Hello{text_at(json, 0), number_at(json, 1)};
    case 'W': return Welcome{number_at(json, 0), number_at(json, 1), number_at(json, 2)};
    case 'R': return Refusal{text_at(json, 0)};
    case 'P': return Pulse{number_at(json, 0), number_at(json, 1)};
    case 'C': return Credit{number_at(json, 0), number_at(json, 1)};
    case 'A': return Again{number_at(json, 0), number_at(json, 1)};
    case 'S': {
      Settled m{number_at(json, 0), {}};
      if (json.size() < 2 || !json[1].is_array()) throw Malformed{"numbers are missing"};
      for (std::size_t i = 0; i < json[1].size(); ++i) m.numbers.push_back(number_at(json[1], i));
      return m;
    }
    default: throw Malformed{"an unknown type"};
  }
}

}  // namespace

std::string encode(const Message& message) { return std::visit(Encoder{}, message); }

Result<Message> decode(std::string_view frame) {
  try {
    return decode_or_throw(frame);
  } catch (const Malformed& m) {
    return rejected(std::string("a message that is not of this link: ") + m.what);
  }
}

Result<Batch> decode_batch(std::string_view payload) {
  try {
    Json all = unpacked(payload);
    Batch batch;
    Arena& arena = batch.arena();
    for (const Json& one : all) {
      if (!one.is_array() || one.size() != 8 || !one[1].is_number_integer() || !one[2].is_number_integer())
        throw Malformed{"a record without its members"};
      Record& r = batch.append();
      r.device = arena.copy(text_at(one, 0));
      r.time = Time(Duration(one[1].get<std::int64_t>()));
      r.arrival = Time(Duration(one[2].get<std::int64_t>()));
      std::string what = text_at(one, 3);
      r.kind = what == kind::telemetry ? kind::telemetry : arena.copy(what);
      r.fields = to_fields(one[4], arena);
      r.meta = to_fields(one[5], arena);
      r.source = static_cast<std::uint32_t>(number_at(one, 6));
      r.sequence = number_at(one, 7);
    }
    return batch;
  } catch (const Malformed& m) {
    return rejected(std::string("a batch that is not of this link: ") + m.what);
  }
}

}  // namespace millrace::link::wire
