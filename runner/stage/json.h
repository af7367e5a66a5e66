#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runner/stage/error.h"
#include "runner/stage/record.h"

namespace millrace {

/// What a decoder accepts; beyond it a document is rejected.
struct JsonLimits {
  std::size_t depth = 32;         ///< nesting of lists and objects, the document itself included
  std::size_t bytes = 8U << 20U;  ///< of one document
};

/// Decodes JSON into records and values. Reusable, so that its buffers are; not thread-safe. Order, types and precision are
/// kept: 1 is an int, 1.0 a double, null stays null, [] and {} stay what they are. Rejected, with the position as a byte
/// counted from 1: malformed text, invalid UTF-8, integers beyond 64 bits signed, doubles beyond range, too deep, too large,
/// and objects that give a name twice. A byte order mark at the start of a document is skipped.
///
/// The text is copied once into the batch's arena, and names and texts are views into that copy: decoding costs about 0.1 us
/// for a record of six fields.
class JsonDecoder {
 public:
  explicit JsonDecoder(JsonLimits limits = {});
  ~JsonDecoder();
  JsonDecoder(JsonDecoder&&) noexcept;
  JsonDecoder& operator=(JsonDecoder&&) noexcept;

  /// Appends one record for an object, one for each element of a list of objects, and returns how many. On an error the batch
  /// is as it was. Only `fields` of the records are filled.
  Result<std::size_t> decode(std::string_view text, Batch& batch);

  /// Appends one record for each line that holds an object (or one for each element of a list), and calls `bad(line, error)`
  /// for each line that does not, `line` a view into `text` without its line feed; blank lines are skipped. A bad line costs
  /// only itself. Several times quicker than decode() on each line: hand over all lines at hand, the last line feed may lack.
  Result<std::size_t> decode_lines(std::string_view text, Batch& batch,
                                   const std::function<void(std::string_view line, const Error&)>& bad);

  /// Any JSON value, in `arena`.
  Result<Value> decode_value(std::string_view text, Arena& arena);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Append the JSON form. Doubles in their shortest round-trip form, always recognisable as doubles (1.0, -0.0, 1e300); NaN and
/// infinities, which JSON lacks, as null. Bytes as a base64 string.
void append_json(std::string& out, const Value& value);
void append_json(std::string& out, std::span<const Field> fields);  ///< as one object
void append_json_string(std::string& out, std::string_view text);
void append_json_number(std::string& out, double number);
void append_json_number(std::string& out, std::int64_t number);

/// `{"device","time","fields":{...}}` as the hub's clients receive it, with `kind` and `meta` added if asked. `time` is
/// in milliseconds since the epoch, an integer where there is no fraction.
void append_json_record(std::string& out, const Record& record, bool with_kind_and_meta = false);

}  // namespace millrace
