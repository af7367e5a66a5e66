#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/error.h"
#include "runner/stage/record.h"

namespace millrace::push {

/// A text with places for a record's fields: `{key}: {value:.1f} points`. `{device}`, `{kind}` and `{time}` (UTC) are of the
/// record itself. A field that is missing or null leaves its place empty; `{{` and `}}` are braces; `:.N` rounds a number to N
/// decimals.
class Template {
 public:
  static Result<Template> parse(std::string_view text);

  bool empty() const { return pieces_.empty(); }
  std::string fill(const Record& record) const;

 private:
  struct Piece {
    std::string text;  ///< literal, or a field's name
    bool field = false;
    int decimals = -1;  ///< negative: as it is
  };
  std::vector<Piece> pieces_;
};

/// What people are to read, whatever the channel; and what a program is to know.
struct Message {
  std::string notification;  ///< id of what caused it, the same again after a replay
  std::string thread;        ///< messages of one thread reach a target in order
  std::string title;
  std::string text;
  std::string level;
  std::string type;  ///< firing, repeat, resolved, ...
  bool quiet = false;
  std::string payload;  ///< JSON object: the record with its fields

  /// From a notification of the alert stage or any other record. Empty templates: a notification's own words, else the fields.
  static Message from(const Record& record, const Template& title, const Template& body, std::string_view stage);

  /// As kept in the history while it waits. load() fails only on what save() did not write.
  std::string save() const;
  static Result<Message> load(std::string_view text);

  bool resolved() const { return type == "resolved" || type == "group_resolved"; }
};

}  // namespace millrace::push
