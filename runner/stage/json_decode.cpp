#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <vector>

#include "runner/stage/json.h"
#include "runner/stage/json_number.h"
#include "runner/stage/json_tokens.h"

namespace millrace {
namespace {

using json::shown;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// May this byte follow a number, true, false or null?
bool ends_scalar(char c) { return is_space(c) || c == ',' || c == ']' || c == '}'; }

/// A name that two of the fields have, or null.
const std::string_view* name_given_twice(const Field* fields, std::size_t count) {
  constexpr std::size_t few = 16;
  if (count <= few) {
    for (std::size_t i = 1; i < count; ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (fields[i].name == fields[j].name) return &fields[i].name;
    return nullptr;
  }
  // Sorting keeps an object of a million names from costing their square.
  std::vector<const std::string_view*> names(count);
  for (std::size_t i = 0; i < count; ++i) names[i] = &fields[i].name;
  std::ranges::sort(names, {}, [](const std::string_view* name) { return *name; });
  auto same = std::ranges::adjacent_find(names, {}, [](const std::string_view* name) { return *name; });
  return same == names.end() ? nullptr : *same;
}

}  // namespace

/// The walk over the tokens of the text at hand.
struct JsonDecoder::Impl : json::Tokens {
  JsonLimits limits;
  Arena* arena = nullptr;
  std::vector<Field> fields;            ///< of the objects being read, a stack
  std::vector<Value> items;             ///< of the lists being read, a stack
  std::vector<std::string_view> shape;  ///< names of the last record, as its text has them; without data where escaped
  std::string unescaped;
  json::Fault fault;

  bool fail(std::size_t at, std::string what) {
    fault = {at, std::move(what)};
    return false;
  }

  bool fail_expecting(std::size_t at, std::string_view what) {
    if (at >= length) return fail(length, fmt::format("the text ends where {} should follow", what));
    return fail(at, fmt::format("{} where {} should follow", shown(text[at]), what));
  }

  void start(std::string_view from, Arena& to) {
    load(from, to);
    arena = &to;
    forget();
  }

  /// Drops what an unfinished document left behind.
  void forget() {
    fields.clear();
    items.clear();
    shape.clear();
  }

  /// The string that opens at `at`; `next` is past it already. `plain` tells whether the text is without escapes.
  bool string(std::size_t at, std::string_view& out, bool& plain) {
    const char* first = text + at + 1;
    const char* last = text + *next - 1;
    while (*last != '"') --last;  // only white space lies between a string and the next token
    std::size_t size = static_cast<std::size_t>(last - first);
    plain = size == 0 || std::memchr(first, '\\', size) == nullptr;
    if (plain) {
      out = {first, size};
      return true;
    }
    if (!unescape({first, size}, unescaped)) return fail(at, "this string holds an escape that JSON does not know");
    out = arena->copy(unescaped);
    return true;
  }

  bool number(std::size_t at, Value& out) {
    json::Digits digits;
    const char* first = text + at;
    const char* last = json::scan_number(first, digits);
    if (!last || !ends_scalar(*last)) return fail(at, "this is not a number as JSON writes them");
    if (digits.integer) {
      constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      if (digits.count > 19 || digits.mantissa > limit + (digits.negative ? 1 : 0))
        return fail(at, "this integer is beyond 64 bits signed");
      out = Value::integer(static_cast<std::int64_t>(digits.negative ? 0 - digits.mantissa : digits.mantissa));
      return true;
    }
    double value = json::nearest_double(digits, first, last);
    if (std::isinf(value)) return fail(at, "this number is beyond the range of a double");
    out = Value::real(value);
    return true;
  }

  bool literal(std::size_t at, std::string_view word, Value value, Value& out) {
    if (std::memcmp(text + at, word.data(), word.size()) != 0 || !ends_scalar(text[at + word.size()]))
      return fail_expecting(at, "a value");
    out = value;
    return true;
  }

  bool value(std::size_t depth, Value& out) {
    std::size_t at = *next++;
    switch (text[at]) {
      case '"': {
        std::string_view s;
        bool plain = false;
        if (!string(at, s, plain)) return false;
        out = Value::string(s);
        return true;
      }
      case '{': {
        std::size_t base = fields.size();
        if (!object(depth + 1, at)) return false;
        std::size_t count = fields.size() - base;
        if (!names_differ(at, fields.data() + base, count)) return false;
        Field* kept = arena->allocate<Field>(count);
        std::copy_n(fields.data() + base, count, kept);
        fields.resize(base);
        out = Value::object({kept, count});
        return true;
      }
      case '[': return list(depth + 1, at, out);
      case 't': return literal(at, "true", Value::boolean(true), out);
      case 'f': return literal(at, "false", Value::boolean(false), out);
      case 'n': return literal(at, "null", Value::null(), out);
      case '-':
      case '0':
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
      case '7':
      case '8':
      case '9': return number(at, out);
      default: --next; return fail_expecting(at, "a value");
    }
  }

  bool list(std::size_t depth, std::size_t at, Value& out) {
    if (depth > limits.depth) return fail(at, fmt::format("nested deeper than {} levels", limits.depth));
    std::size_t base = items.size();
    if (text[*next] == ']') {
      ++next;
    } else {
      for (;;) {
        Value item;
        if (!value(depth, item)) return false;
        items.push_back(item);
        char c = text[*next];
        if (c != ',' && c != ']') return fail_expecting(*next, "',' or ']'");
        ++next;
        if (c == ']') break;
      }
    }
    std::size_t count = items.size() - base;
    Value* kept = arena->allocate<Value>(count);
    std::copy_n(items.data() + base, count, kept);
    items.resize(base);
    out = Value::list({kept, count});
    return true;
  }

  /// The object that opens at `at`, `next` past its brace: pushes its fields, duplicates included.
  bool object(std::size_t depth, std::size_t at) {
    if (depth > limits.depth) return fail(at, fmt::format("nested deeper than {} levels", limits.depth));
    if (text[*next] == '}') {
      ++next;
      return true;
    }
    for (;;) {
      Field field;
      bool plain = false;
      if (!name(field.name, plain) || !value(depth, field.value)) return false;
      fields.push_back(field);
      char c = text[*next];
      if (c != ',' && c != '}') return fail_expecting(*next, "',' or '}'");
      ++next;
      if (c == '}') return true;
    }
  }

  /// Which of two equal names was meant, nobody can know.
  bool names_differ(std::size_t at, const Field* them, std::size_t count) {
    const std::string_view* twice = name_given_twice(them, count);
    return !twice || fail(at, fmt::format("the object names '{}' twice", twice->substr(0, 60)));
  }

  /// A name and its colon.
  bool name(std::string_view& out, bool& plain) {
    std::size_t at = *next;
    if (text[at] != '"') return fail_expecting(at, "a name in quotes");
    ++next;
    if (!string(at, out, plain)) return false;
    if (text[*next] != ':') return fail_expecting(*next, "':'");
    ++next;
    return true;
  }

  /// Is the next name the one that the record before had at this place? Then no name needs comparing with the others.
  bool same_name(std::size_t place, std::string_view& out) {
    if (place >= shape.size() || !shape[place].data()) return false;
    std::string_view known = shape[place];
    std::size_t at = *next;
    const std::size_t colon = next[1];
    const char* first = text + at + 1;
    if (text[at] != '"' || text[colon] != ':' || at + 1 + known.size() >= colon) return false;
    if (first[known.size()] != '"' || std::memcmp(first, known.data(), known.size()) != 0) return false;
    next += 2;
    out = known;
    return true;
  }

  /// As object(), for a whole record, straight into the arena: devices repeat themselves, so that the record before tells how
  /// much room is needed and which names to expect.
  bool record(std::size_t depth, std::size_t at, FieldList& out) {
    if (depth > limits.depth) return fail(at, fmt::format("nested deeper than {} levels", limits.depth));
    constexpr std::size_t spare = 2;  // most often something is added to a record on its way
    std::size_t room = shape.size() + spare;
    Field* kept = arena->allocate<Field>(room);
    std::size_t count = 0;
    bool known = true;
    char c = ',';
    if (text[*next] == '}') {
      ++next;
      c = '}';
    }
    for (; c == ','; ++count) {
      if (count == room) {
        Field* larger = arena->allocate<Field>(room *= 2);
        kept = std::copy_n(kept, count, larger) - count;
      }
      Field& field = *new (kept + count) Field;
      if (!known || !same_name(count, field.name)) {
        if (known) shape.resize(std::min(shape.size(), count));
        known = false;
        bool plain = false;
        if (!name(field.name, plain)) return false;
        shape.push_back(plain ? field.name : std::string_view{});
      }
      if (!value(depth, field.value)) return false;
      c = text[*next];
      if (c != ',' && c != '}') return fail_expecting(*next, "',' or '}'");
      ++next;
    }
    if (!known && !names_differ(at, kept, count)) {
      shape.clear();
      return false;
    }
    out = FieldList::adopt(kept, count, room);
    return true;
  }

  /// An object, or a list of objects: appends a record for each.
  bool records(Batch& batch) {
    std::size_t at = *next;
    if (text[at] == '{') {
      ++next;
      return record(1, at, batch.append().fields);
    }
    if (text[at] != '[') return fail_expecting(at, "an object or a list of objects");
    ++next;
    if (limits.depth < 1) return fail(at, "nested too deep");
    if (text[*next] == ']') {
      ++next;
      return true;
    }
    for (char c = ','; c == ',';) {
      at = *next;
      if (text[at] != '{') return fail_expecting(at, "an object");
      ++next;
      if (!record(2, at, batch.append().fields)) return false;
      c = text[*next];
      if (c != ',' && c != ']') return fail_expecting(*next, "',' or ']'");
      ++next;
    }
    return true;
  }

  bool at_end() { return next == end || fail(*next, fmt::format("{} after the end of the document", shown(text[*next]))); }

  Error error() const { return rejected(fmt::format("not JSON that can be read: byte {}: {}", fault.at + 1, fault.what)); }

  Result<void> load_document(std::string_view from, Arena& to) {
    if (from.size() > limits.bytes)
      return rejected(fmt::format("a JSON document of {} bytes, where at most {} are taken", from.size(), limits.bytes));
    start(from, to);
    if (auto failed = scan(); failed) {
      fault = explain(failed);
      return error();
    }
    return {};
  }

  Result<std::size_t> document(std::string_view from, Batch& batch) {
    if (auto loaded = load_document(from, batch.arena()); !loaded) return loaded.error();
    std::size_t before = batch.records.size();
    if (records(batch) && at_end()) return batch.records.size() - before;
    batch.records.resize(before);
    return error();
  }

  using Bad = std::function<void(std::string_view, const Error&)>;

  /// Each line on its own, when the scanner refused them as a whole.
  std::size_t each_line(std::string_view from, Batch& batch, const Bad& bad) {
    std::size_t count = 0;
    while (!from.empty()) {
      std::string_view line = from.substr(0, from.find('\n'));
      from.remove_prefix(std::min(from.size(), line.size() + 1));
      if (std::ranges::all_of(line, is_space)) continue;
      auto added = document(line, batch);
      if (added) count += *added;
      if (!added) bad(line, added.error());
    }
    return count;
  }

  /// The line that starts at `from` in the text, its first token being the next: its records, or the reason why not.
  bool line(std::size_t from, std::size_t to, Batch& batch) {
    if (to - from > limits.bytes)
      return fail(from, fmt::format("a line of {} bytes, where at most {} are taken", to - from, limits.bytes));
    bool good = records(batch);
    if (good && next[-1] >= to) good = fail(to, "the line ends within the document");
    if (good && *next < to) good = fail(*next, fmt::format("{} after the end of the document", shown(text[*next])));
    if (!good && fault.at > to) fault = {to, "the line ends within the document"};
    return good;
  }
};

JsonDecoder::JsonDecoder(JsonLimits limits) : impl_(std::make_unique<Impl>()) {
  assert(limits.depth <= 1024);  // objects nest by recursion
  impl_->limits = limits;
}
JsonDecoder::~JsonDecoder() = default;
JsonDecoder::JsonDecoder(JsonDecoder&&) noexcept = default;
JsonDecoder& JsonDecoder::operator=(JsonDecoder&&) noexcept = default;

Result<std::size_t> JsonDecoder::decode(std::string_view text, Batch& batch) { return impl_->document(text, batch); }

Result<std::size_t> JsonDecoder::decode_lines(std::string_view text, Batch& batch,
                                              const std::function<void(std::string_view, const Error&)>& bad) {
  Impl& d = *impl_;
  d.start(text, batch.arena());
  auto failed = d.scan();
  if (failed == simdjson::EMPTY) return 0;
  if (failed) return d.each_line(text, batch, bad);

  std::size_t before = batch.records.size();
  std::size_t from = 0;
  auto feed = [&](std::size_t at) {
    const void* found = std::memchr(d.text + at, '\n', d.length - at);
    return found ? static_cast<std::size_t>(static_cast<const char*>(found) - d.text) : d.length;
  };
  while (d.next < d.end) {
    // No string holds a line feed: one that comes before the next token ends a blank line.
    const std::size_t to = feed(from);
    if (*d.next > to) {
      from = to + 1;
      continue;
    }
    std::size_t count = batch.records.size();
    const std::uint32_t* first = d.next;
    if (!d.line(from, to, batch)) {
      batch.records.resize(count);
      d.forget();
      d.fault.at -= from;
      bad(text.substr(from, to - from), d.error());
      d.next = first;
      d.skip_to(to);
    }
    from = to + 1;
  }
  return batch.records.size() - before;
}

Result<Value> JsonDecoder::decode_value(std::string_view text, Arena& arena) {
  if (auto loaded = impl_->load_document(text, arena); !loaded) return loaded.error();
  Value out;
  if (impl_->value(0, out) && impl_->at_end()) return out;
  return impl_->error();
}

}  // namespace millrace
