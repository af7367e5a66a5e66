#include "plugins/alert/aggregate.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace millrace::alert {

namespace {

using Kind = Aggregate::Kind;

constexpr std::array<std::pair<std::string_view, Kind>, 19> simple{{
    {"count_all", Kind::count_all},
    {"count", Kind::count},
    {"sum", Kind::sum},
    {"avg", Kind::avg},
    {"min", Kind::min},
    {"max", Kind::max},
    {"range", Kind::range},
    {"first", Kind::first},
    {"last", Kind::last},
    {"distinct", Kind::distinct},
    {"stddev", Kind::stddev},
    {"stddevp", Kind::stddevp},
    {"delta", Kind::delta},
    {"rate", Kind::rate},
    {"slope", Kind::slope},
    {"rise", Kind::rise},
    {"fall", Kind::fall},
    {"max_rise", Kind::max_rise},
    {"max_fall", Kind::max_fall},
}};

constexpr double seconds(double micros) { return micros / 1e6; }

}  // namespace

std::optional<Aggregate> parse_aggregate(std::string_view name) {
  for (const auto& [text, kind] : simple)
    if (text == name) return Aggregate{kind, 0, std::string(name)};
  if (name == "median") return Aggregate{Kind::percentile, 0.5, std::string(name)};
  if (!name.starts_with('p')) return std::nullopt;
  bool exact = name.starts_with("pd");
  std::string_view digits = name.substr(exact ? 2 : 1);
  double percent = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), percent, std::chars_format::fixed);
  if (error != std::errc{} || end != digits.data() + digits.size() || !(percent >= 0 && percent <= 100)) return std::nullopt;
  return Aggregate{exact ? Kind::percentile_discrete : Kind::percentile, percent / 100, std::string(name)};
}

const std::vector<std::string>& aggregate_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    all.reserve(simple.size() + 3);
    for (const auto& [text, kind] : simple) all.emplace_back(text);
    all.insert(all.end(), {"median", "p95", "pd95"});
    return all;
  }();
  return names;
}

Shape::Shape(std::span<const Aggregate> aggregates) {
  auto need = [&](std::uint8_t& part) {
    if (part == 0) part = width_++;
  };
  for (const Aggregate& a : aggregates) {
    switch (a.kind) {
      case Kind::count: break;
      case Kind::count_all: need(all_); break;
      case Kind::sum:
      case Kind::avg: need(sum_); break;
      case Kind::min: need(min_); break;
      case Kind::max: need(max_); break;
      case Kind::range: need(min_), need(max_); break;
      case Kind::first: need(first_); break;
      case Kind::last: need(last_); break;
      case Kind::distinct: distinct_ = true; break;
      case Kind::percentile:
      case Kind::percentile_discrete: quantiles_ = true; break;
      case Kind::stddev:
      case Kind::stddevp: need(mean_), need(squares_); break;
      case Kind::delta: need(first_), need(last_); break;
      case Kind::rate: need(first_), need(last_), need(first_time_), need(last_time_); break;
      case Kind::slope: need(mean_), need(mean_time_), need(time_squares_), need(products_); break;
      case Kind::rise: need(last_), need(min_); break;
      case Kind::fall: need(last_), need(max_); break;
      case Kind::max_rise: need(min_), need(max_), need(max_rise_); break;
      case Kind::max_fall: need(min_), need(max_), need(max_fall_); break;
    }
  }
}

void Shape::clear(Word* partial) const { std::fill_n(partial, width_, Word{.integer = 0}); }

void Shape::add_number(Word* partial, Micros time, double value) const {
  std::int64_t n = count(partial) + 1;
  ++partial[0].integer;
  bool alone = n == 1;
  if (sum_) partial[sum_].real += value;
  if (mean_) {
    double off = value - partial[mean_].real;
    if (mean_time_) {
      double time_off = static_cast<double>(time) - partial[mean_time_].real;
      partial[mean_time_].real += time_off / static_cast<double>(n);
      partial[time_squares_].real += time_off * (static_cast<double>(time) - partial[mean_time_].real);
      partial[products_].real += (static_cast<double>(time) - partial[mean_time_].real) * off;
    }
    partial[mean_].real += off / static_cast<double>(n);
    if (squares_) partial[squares_].real += off * (value - partial[mean_].real);
  }
  if (max_rise_ && !alone) partial[max_rise_].real = std::max(partial[max_rise_].real, value - partial[min_].real);
  if (max_fall_ && !alone) partial[max_fall_].real = std::max(partial[max_fall_].real, partial[max_].real - value);
  if (min_) partial[min_].real = alone ? value : std::min(partial[min_].real, value);
  if (max_) partial[max_].real = alone ? value : std::max(partial[max_].real, value);
  if (first_ && alone) partial[first_].real = value;
  if (first_time_ && alone) partial[first_time_].integer = time;
  if (last_) partial[last_].real = value;
  if (last_time_) partial[last_time_].integer = time;
}

void Shape::merge_moments(const Word* earlier, const Word* later, Word* into) const {
  // Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
  auto n1 = static_cast<double>(count(earlier));
  auto n2 = static_cast<double>(count(later));
  double n = n1 + n2;
  double weight = n1 * n2 / n;
  double off = later[mean_].real - earlier[mean_].real;
  if (squares_) into[squares_].real = earlier[squares_].real + later[squares_].real + off * off * weight;
  if (mean_time_) {
    double time_off = later[mean_time_].real - earlier[mean_time_].real;
    into[time_squares_].real = earlier[time_squares_].real + later[time_squares_].real + time_off * time_off * weight;
    into[products_].real = earlier[products_].real + later[products_].real + time_off * off * weight;
    into[mean_time_].real = earlier[mean_time_].real + time_off * n2 / n;
  }
  into[mean_].real = earlier[mean_].real + off * n2 / n;
}

void Shape::merge(const Word* earlier, const Word* later, Word* into) const {
  std::int64_t all = all_ ? earlier[all_].integer + later[all_].integer : 0;
  std::uint32_t kept_tag = tag(into);
  if (count(earlier) == 0 || count(later) == 0) {
    const Word* only = count(earlier) == 0 ? later : earlier;
    if (only != into) std::copy_n(only, width_, into);
  } else {
    // Each part is written only after all that derive from its old value, because `into` may be an argument.
    if (mean_) merge_moments(earlier, later, into);
    if (sum_) into[sum_].real = earlier[sum_].real + later[sum_].real;
    if (max_rise_)
      into[max_rise_].real = std::max({earlier[max_rise_].real, later[max_rise_].real, later[max_].real - earlier[min_].real});
    if (max_fall_)
      into[max_fall_].real = std::max({earlier[max_fall_].real, later[max_fall_].real, earlier[max_].real - later[min_].real});
    if (min_) into[min_].real = std::min(earlier[min_].real, later[min_].real);
    if (max_) into[max_].real = std::max(earlier[max_].real, later[max_].real);
    if (first_) into[first_].real = earlier[first_].real;
    if (first_time_) into[first_time_].integer = earlier[first_time_].integer;
    if (last_) into[last_].real = later[last_].real;
    if (last_time_) into[last_time_].integer = later[last_time_].integer;
    into[0].integer = count(earlier) + count(later);
  }
  if (all_) into[all_].integer = all;
  set_tag(into, kept_tag);
}

double Shape::result(const Aggregate& aggregate, const Word* partial) const {
  std::int64_t n = count(partial);
  switch (aggregate.kind) {
    case Kind::count_all: return static_cast<double>(partial[all_].integer);
    case Kind::count: return static_cast<double>(n);
    default: break;
  }
  if (n == 0) return null_value;
  auto real = [&](std::uint8_t part) { return partial[part].real; };
  auto many = static_cast<double>(n);
  switch (aggregate.kind) {
    case Kind::sum: return real(sum_);
    case Kind::avg: return real(sum_) / many;
    case Kind::min: return real(min_);
    case Kind::max: return real(max_);
    case Kind::range: return real(max_) - real(min_);
    case Kind::first: return real(first_);
    case Kind::last: return real(last_);
    case Kind::stddevp: return std::sqrt(std::max(0.0, real(squares_)) / many);
    case Kind::rise: return real(last_) - real(min_);
    case Kind::fall: return real(max_) - real(last_);
    default: break;
  }
  if (n < 2) return null_value;
  switch (aggregate.kind) {
    case Kind::stddev: return std::sqrt(std::max(0.0, real(squares_)) / (many - 1));
    case Kind::delta: return real(last_) - real(first_);
    case Kind::rate: {
      Micros span = partial[last_time_].integer - partial[first_time_].integer;
      return span == 0 ? null_value : (real(last_) - real(first_)) / seconds(static_cast<double>(span));
    }
    case Kind::slope: return real(time_squares_) > 0 ? real(products_) / seconds(real(time_squares_)) : null_value;
    case Kind::max_rise: return real(max_rise_);
    case Kind::max_fall: return real(max_fall_);
    default: return null_value;
  }
}

}  // namespace millrace::alert
