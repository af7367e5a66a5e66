#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/alert/event_time.h"

namespace millrace::alert {

/// "No value": what text, booleans, null and NaN become on the way in, and what an aggregate without an answer gives.
inline constexpr double null_value = std::numeric_limits<double>::quiet_NaN();
inline bool is_null(double value) { return value != value; }

/// One figure of a window, by name: `avg`, `p95`, `max_rise`, ...
struct Aggregate {
  enum class Kind : std::uint8_t {
    count_all,
    count,
    sum,
    avg,
    min,
    max,
    range,
    first,
    last,
    distinct,
    stddev,
    stddevp,
    percentile,
    percentile_discrete,
    delta,
    rate,
    slope,
    rise,
    fall,
    max_rise,
    max_fall,
  };
  Kind kind = Kind::count;
  double share = 0;  ///< of a percentile, 0 to 1
  std::string name;
};

/// `avg`, `p95`, `p99.9`, `pd95`, `median`; nothing if there is no such aggregate.
std::optional<Aggregate> parse_aggregate(std::string_view name);

/// The names that parse_aggregate knows, with p95 and pd95 for all percentiles.
const std::vector<std::string>& aggregate_names();

/// 8 bytes of a Partial.
union Word {
  double real;
  std::int64_t integer;
};

/// What must be kept of a run of samples so that a set of aggregates can be told of it, and of two runs put together. A
/// "partial" is width() words laid out by the Shape: runs are merged in order of time, so nothing is ever subtracted and no
/// rounding error stays behind when samples leave a window. Immutable; shared by all keys of a rule.
class Shape {
 public:
  explicit Shape(std::span<const Aggregate> aggregates);

  std::size_t width() const { return width_; }

  /// Whether more than sums is needed: the values by rank, the different values.
  bool needs_quantiles() const { return quantiles_; }
  bool needs_distinct() const { return distinct_; }

  /// An empty run.
  void clear(Word* partial) const;

  /// Appends a sample, not earlier than those in the run. Times count from any fixed origin.
  void add(Word* partial, Micros time, double value) const {
    if (all_) ++partial[all_].integer;
    if (!is_null(value)) add_number(partial, time, value);
  }

  /// `into` = `earlier` followed by `later`; `into` may be either of them.
  void merge(const Word* earlier, const Word* later, Word* into) const;

  /// Samples that are numbers.
  static std::int64_t count(const Word* partial) { return partial[0].integer & 0xffffffff; }

  /// The upper half of the first word belongs to the run's owner.
  static std::uint32_t tag(const Word* partial) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(partial[0].integer) >> 32U);
  }
  static void set_tag(Word* partial, std::uint32_t tag) {
    partial[0].integer = static_cast<std::int64_t>(static_cast<std::uint64_t>(tag) << 32U |
                                                   (static_cast<std::uint64_t>(partial[0].integer) & 0xffffffffU));
  }

  /// The figure, or null; of none that needs more than sums.
  double result(const Aggregate& aggregate, const Word* partial) const;

 private:
  void add_number(Word* partial, Micros time, double value) const;
  void merge_moments(const Word* earlier, const Word* later, Word* into) const;

  // Where each part lies; 0 is absent, as word 0 is the count.
  std::uint8_t all_ = 0, sum_ = 0, mean_ = 0, squares_ = 0, mean_time_ = 0, time_squares_ = 0, products_ = 0, min_ = 0,
               max_ = 0, first_ = 0, first_time_ = 0, last_ = 0, last_time_ = 0, max_rise_ = 0, max_fall_ = 0;
  std::uint8_t width_ = 1;
  bool quantiles_ = false, distinct_ = false;
};

}  // namespace millrace::alert
