#include "runner/store/export.h"

#include <fmt/format.h>

#include <cmath>

#include "runner/stage/json.h"
#include "runner/store/columns.h"

namespace millrace::store {
namespace {

// Both write what a visitor of columns.h is shown through put(name, text, is_text); a NULL is not put.
template <class Format>
class Fields : public Format {
 public:
  void text(const char* name, const std::string& value) { this->put_text(name, value); }
  void optional_text(const char* name, const std::string& value) {
    value.empty() ? this->put_null() : this->put_text(name, value);
  }
  void run_id(const char* name, const std::string& value) { optional_text(name, value); }
  template <class Integer>
  void integer(const char* name, const Integer& value) {
    this->put_raw(name, fmt::format("{}", static_cast<std::int64_t>(value)));
  }
  void integer(const char* name, const std::optional<std::int64_t>& value) {
    value ? this->put_raw(name, fmt::format("{}", *value)) : this->put_null();
  }
  void real(const char* name, const std::optional<double>& value) {
    value&& std::isfinite(*value) ? this->put_raw(name, fmt::format("{}", *value)) : this->put_null();
  }
  template <class Row>
  void owner(const Row& row) {
    this->put_text("pipeline", row.pipeline);
    this->put_text("stage", row.stage);
  }
};

class Csv {
 public:
  std::string line;

 protected:
  void put_null() { separate(); }
  void put_raw(const char*, const std::string& value) {
    separate();
    line += value;
  }
  void put_text(const char*, const std::string& value) {
    separate();
    if (value.find_first_of(",\"\r\n") == std::string::npos) {
      line += value;
      return;
    }
    line += '"';
    for (char c : value) {
      if (c == '"') line += '"';
      line += c;
    }
    line += '"';
  }

 private:
  void separate() {
    if (!first_) line += ',';
    first_ = false;
  }
  bool first_ = true;
};

class JsonMembers {
 public:
  std::string line = "{";

 protected:
  void put_null() {}
  void put_raw(const char* name, const std::string& value) {
    begin(name);
    line += value;
  }
  void put_text(const char* name, const std::string& value) {
    if (std::string_view(name).ends_with("_json")) return put_raw(name, value);
    begin(name);
    append_json_string(line, value);
  }

 private:
  void begin(const char* name) { line += fmt::format("{}\"{}\":", line.size() > 1 ? "," : "", name); }
};

}  // namespace

std::string csv_header() {
  std::string names = "seq, " + columns_of<Event>().list();
  std::erase(names, ' ');
  return names + "\r\n";
}

std::string csv_row(const Event& event) {
  Fields<Csv> fields;
  fields.integer("seq", event.seq);
  visit(fields, event);
  return std::move(fields.line) + "\r\n";
}

std::string json_line(const Event& event) {
  Fields<JsonMembers> fields;
  fields.integer("seq", event.seq);
  visit(fields, event);
  return std::move(fields.line) + "}\n";
}

}  // namespace millrace::store
