#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plugins/alert/rule.h"
#include "runner/config/event_time.h"
#include "runner/config/fields.h"

namespace millrace::alert {

// The options of the stage as a pipeline file has them; compile() in compile.h makes rules of them.

/// One question to a value; exactly one member is given, or none.
struct ConditionOptions {
  std::optional<double> above, at_least, below, at_most;
  std::vector<double> outside, inside;
  config::Node equals, differs;

  /// Binds the members for a struct derived from this one.
  template <class C>
  static void describe_as(config::Fields<C>& f) {
    auto at = [](auto member) { return static_cast<std::optional<double> C::*>(member); };
    f.field("above", at(&C::above)).doc("Holds for values greater than this.");
    f.field("at_least", at(&C::at_least)).doc("Holds for values of this and greater.");
    f.field("below", at(&C::below)).doc("Holds for values less than this.");
    f.field("at_most", at(&C::at_most)).doc("Holds for values of this and less.");
    f.field("outside", static_cast<std::vector<double> C::*>(&C::outside))
        .doc("`[low, high]`: holds for values less than low or greater than high.");
    f.field("inside", static_cast<std::vector<double> C::*>(&C::inside))
        .doc("`[low, high]`: holds for values from low to high, both included.");
    f.field("equals", static_cast<config::Node C::*>(&C::equals))
        .doc("Holds for this value: a number; a text, true or false where `watch` is a bare value.");
    f.field("differs", static_cast<config::Node C::*>(&C::differs)).doc("Holds for every value but this.");
  }

  std::size_t given() const;

  /// As a test of numbers, if it is one.
  std::optional<Test> test() const;
  /// What is wrong with it, or empty.
  std::string problem() const;
};

struct ClearOptions : ConditionOptions {
  static void describe(config::Fields<ClearOptions>& f);
};

struct LevelOptions : ConditionOptions {
  std::optional<ClearOptions> clear;
  std::optional<Duration> hold;
  static void describe(config::Fields<LevelOptions>& f);
};

struct SessionOptions {
  Duration timeout{};
  Duration max_duration{};
  bool exact = false;
  static void describe(config::Fields<SessionOptions>& f);
};

struct CircleOptions {
  double latitude = 0, longitude = 0, radius = 0;
  static void describe(config::Fields<CircleOptions>& f);
};

/// What a rule looks at: one AGGREGATE: FIELD, and over which stretch.
struct WatchOptions {
  std::string value, ewma, zscore;
  std::string count_all, count, sum, avg, min, max, range, first, last, distinct, stddev, stddevp, median, percentile,
      percentile_discrete, delta, rate, slope, rise, fall, max_rise, max_fall;
  std::string percentile_name;  ///< such as p99.9, where the option stands for any
  std::string lua;
  std::optional<config::InputFile> script;
  std::vector<std::string> distance_outside;
  std::string accuracy;
  std::optional<double> max_accuracy;
  config::InputFile fence;
  std::optional<CircleOptions> circle;
  std::optional<Duration> within, sliding, tau;
  config::Node every;
  bool snapshot = false;
  std::optional<SessionOptions> session;
  std::optional<std::int64_t> records;
  std::string offset;
  std::vector<std::string> also;
  bool approx = false;
  std::int64_t min_samples = 2;
  double min_stddev = 0;

  static void describe(config::Fields<WatchOptions>& f);

  /// The aggregate's name and its field, if one is given (value, ewma, zscore and distance_outside are none).
  std::optional<std::pair<std::string, std::string>> aggregate() const;
  /// What may stand there for one.
  static const std::vector<std::string>& aggregate_options();
  /// The text of the script, if there is one.
  const std::string* formula() const { return script ? &script->text : lua.empty() ? nullptr : &lua; }
  bool windowed() const {
    return sliding || snapshot || session || records || (within && every.kind != config::Node::Kind::null);
  }
};

struct FlapOptions {
  std::size_t opens = 0;
  Duration within{}, quiet{};
  static void describe(config::Fields<FlapOptions>& f);
};

struct GroupOptions {
  std::vector<std::string> by;
  Duration wait{30s};
  Duration interval{5min};
  static void describe(config::Fields<GroupOptions>& f);
};

/// A rule that mutes another: for the same key, or wherever these labels are equal.
struct InhibitorOptions {
  std::string rule;
  std::vector<std::string> equal;
  static void describe(config::Fields<InhibitorOptions>& f);
};

struct RuleOptions : ConditionOptions {
  WatchOptions watch;
  bool changed = false;
  std::optional<ClearOptions> clear;
  std::optional<Duration> hold;
  bool by_timer = false;
  std::optional<Duration> max_gap;
  Duration resolve_after{};
  std::string severity;
  config::Map<LevelOptions> levels;
  OnNull on_null = OnNull::keep;
  bool latch = false;
  Duration repeat{};
  bool notify_resolved = true;
  bool notify_deescalated = false;
  std::optional<FlapOptions> flap;
  std::optional<GroupOptions> group;
  std::vector<InhibitorOptions> inhibited_by;
  std::string message;
  config::Map<std::string> labels;

  static void describe(config::Fields<RuleOptions>& f);
  bool has_condition() const { return given() > 0 || changed || !levels.empty(); }
};

/// The rules by name. What contradicts itself in their inhibition is found whatever else is wrong in them.
struct Rules : config::Map<RuleOptions> {};

/// `expect`: a list of keys, or the name of a file with one key a line.
struct ExpectedKeys {
  std::vector<std::string> keys;
};

struct NoDataOptions {
  Duration after{};
  std::string severity;
  ExpectedKeys expect;
  Duration restart_grace{};
  Duration repeat{};
  bool latch = false;
  bool notify_resolved = true;
  std::optional<FlapOptions> flap;
  std::optional<GroupOptions> group;
  std::vector<InhibitorOptions> inhibited_by;
  std::string message;
  config::Map<std::string> labels;
  static void describe(config::Fields<NoDataOptions>& f);
};

struct TimeOptions {
  std::string field;
  config::TimeUnit unit = config::TimeUnit::milliseconds;
  bool by_arrival = false;
  Duration late{5s};
  Duration early{5min};
  Duration out_of_order{};
  Lateness policy = Lateness::drop;
  Scope scope = Scope::key;
  Duration catch_up{60s};
  static void describe(config::Fields<TimeOptions>& f);
};

struct Options {
  std::string key = "device";
  TimeOptions time;
  std::optional<NoDataOptions> no_data;
  Rules rules;
  std::size_t max_keys = 100'000;
  std::size_t max_samples = 10'000;
  static void describe(config::Fields<Options>& f);
};

/// A span that may be negative: `-1ms`. Nothing if it is none.
std::optional<Micros> parse_offset(const std::string& text);

}  // namespace millrace::alert

template <>
struct millrace::config::Codec<millrace::alert::ExpectedKeys> {
  static void describe(FieldInfo& info) {
    info.type = "string";
    info.shape = FieldInfo::Shape::list;
  }
  static std::optional<std::string> show(const alert::ExpectedKeys&) { return std::nullopt; }
  static bool read(const Node& node, alert::ExpectedKeys& to, const FieldReader& field);
};

template <>
struct millrace::config::Codec<millrace::alert::Rules> {
  static void describe(FieldInfo& info) { Codec<Map<alert::RuleOptions>>::describe(info); }
  static std::optional<std::string> show(const alert::Rules&) { return std::nullopt; }
  static bool read(const Node& node, alert::Rules& to, const FieldReader& field);
};

/// Percentiles are options of many names: any number may stand in the place of NN.
template <>
struct millrace::config::Codec<millrace::alert::WatchOptions> {
  static void describe(FieldInfo& info);
  static std::optional<std::string> show(const alert::WatchOptions&) { return std::nullopt; }
  static bool read(const Node& node, alert::WatchOptions& to, const FieldReader& field);
};
