#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/alert/message.h"
#include "plugins/alert/options.h"

namespace millrace::alert {

/// A number that rules need of each record.
struct Input {
  enum class Reading {
    number,  ///< the field, if it is a number
    same,    ///< 1 if it equals `wanted`, else 0
    token,   ///< a number that stands for the value, whatever its type
  };
  std::string field;
  Reading reading = Reading::number;
  config::Node wanted;
};

/// What a rule says to people, beside its plan.
struct RuleText {
  Message message;
  std::vector<std::pair<std::string, Message>> labels;
  std::vector<std::size_t> group_by;  ///< labels, by place
};

/// Everything that the options mean.
struct Compiled {
  MonitorPlan plan;
  std::vector<Input> inputs;
  std::vector<RuleText> texts;      ///< by rule, as in the plan
  std::vector<std::string> quoted;  ///< fields of records that texts quote
  std::vector<std::string> expected;
};

/// For options that passed their checks.
Compiled compile(const Options& options);

/// Which rules mute which: a part of compile(), once it has the rules and what their texts quote.
void compile_inhibition(const Options& options, Compiled& to);

/// For how long what the rules make of a record may hang on records before it, by their windows and waiting times; for_ever if
/// one of them counts records instead of time. What an alert that is open all the while hangs on lies beyond.
Micros look_back(const MonitorPlan& plan);

/// The corners of the first polygon in a GeoJSON text.
Result<std::vector<Position>> read_geojson(const std::string& text);

/// The aggregates of a watch, the one that conditions look at first; an error names one that does not exist.
Result<std::vector<Aggregate>> aggregates_of(const WatchOptions& watch);

/// A label as a message: `{key}` and `{record.FIELD}`.
Result<Message> label_of(const std::string& text);

/// What `{key}` or `{record.FIELD}` stands for; nothing for any other name.
Quote quote_of(std::string_view name, std::string_view key, std::span<const Quote> quotes,
               const std::vector<std::string>& quoted);

/// The rule that tells of what goes wrong in the stage itself.
inline constexpr const char* own_rule = "stage";

/// The text of a rule as a message; `{...}` may name what the rule knows.
Result<Message> message_of(const std::string& text, const std::vector<Aggregate>& aggregates);

}  // namespace millrace::alert
