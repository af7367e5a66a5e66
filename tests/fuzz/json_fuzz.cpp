#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "broken.h"
#include "runner/stage/json.h"

// Three promises of the decoder, held against any bytes: what it accepts is JSON to an independent parser too and comes back
// from its own encoder unchanged; what it rejects is no JSON, or beyond its declared limits; and lines decoded together give
// what each gives alone.

namespace {

using namespace millrace;
using fuzz::broken;

std::string encoded(const Batch& batch) {
  std::string out;
  for (const Record& r : batch.records) {
    append_json(out, r.fields.view());
    out += '\n';
  }
  return out;
}

bool declared_limit(std::string_view error) {
  for (std::string_view known : {"beyond 64 bits", "beyond the range", "nested deeper", "the object names",
                                 "an object or a list of objects should follow", "an object should follow"})
    if (error.find(known) != std::string_view::npos) return true;
  return false;
}

void check_document(std::string_view text) {
  static JsonDecoder decoder;
  Batch batch;
  auto decoded = decoder.decode(text, batch);
  if (!decoded) {
    if (!batch.empty()) broken("an error leaves the batch as it was", text);
    bool other_stops_early = text.find('\0') != std::string_view::npos;  // nlohmann takes a NUL for the end
    if (!other_stops_early && nlohmann::json::accept(text) && !declared_limit(decoded.error().what))
      broken("what is rejected is no JSON", text);
    return;
  }
  if (*decoded != batch.size()) broken("the count is that of the records", text);
  if (!nlohmann::json::accept(text)) broken("what is accepted is JSON", text);
  std::string once = encoded(batch);
  for (std::string_view rest = once; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
    if (!nlohmann::json::accept(rest.substr(0, rest.find('\n')))) broken("what is written is JSON", text);
  Batch again;
  if (!decoder.decode_lines(once, again, [&](std::string_view, const Error& e) { broken(e.what, text); }))
    broken("read again", text);
  if (again.size() != batch.size()) broken("nothing is lost", text);
  for (std::size_t i = 0; i < batch.size(); ++i)
    if (!(Value::object(batch.records[i].fields.view()) == Value::object(again.records[i].fields.view())))
      broken("what is written reads back the same", text);
}

void check_lines(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.find(byte_order_mark) != std::string_view::npos) return;  // skipped at a text's start only
  static JsonDecoder decoder;
  Batch together, alone;
  std::string bad_together, bad_alone;
  auto count =
      decoder.decode_lines(text, together, [&](std::string_view line, const Error&) { bad_together.append(line) += '\n'; });
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (!decoder.decode(line, alone)) bad_alone.append(line) += '\n';
  }
  if (*count != together.size() || encoded(together) != encoded(alone))
    broken("lines together give what each gives alone", text);
  if (bad_together != bad_alone) broken("the same lines are bad", text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  check_document(text);
  check_lines(text);
  Arena arena;
  (void)JsonDecoder().decode_value(text, arena);
  return 0;
}
