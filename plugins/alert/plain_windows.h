#pragma once

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "plugins/alert/window.h"

// Windows and their figures worked out the plain way, from a whole stream: what the incremental ones are compared with.
namespace millrace::alert::test {

struct Sample {
  Micros time;
  double value;
};

/// A figure that only two numbers or more have; `numbers` in order of time.
inline double brute_of_several(Aggregate::Kind kind, const std::vector<Sample>& numbers, double mean) {
  using Kind = Aggregate::Kind;
  if (numbers.size() < 2) return null_value;
  auto n = static_cast<double>(numbers.size());
  double change = numbers.back().value - numbers.front().value;
  auto span = static_cast<double>(numbers.back().time - numbers.front().time) / 1e6;
  if (kind == Kind::delta) return change;
  if (kind == Kind::rate) return span == 0 ? null_value : change / span;
  if (kind == Kind::max_rise || kind == Kind::max_fall) {
    double most = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i)
      for (std::size_t j = i + 1; j < numbers.size(); ++j) {
        double rise = numbers[j].value - numbers[i].value;
        most = std::max(most, kind == Kind::max_rise ? rise : -rise);
      }
    return most;
  }
  double mean_time = 0;
  for (const Sample& s : numbers) mean_time += static_cast<double>(s.time - numbers.front().time) / 1e6 / n;
  double squares = 0;
  double over = 0;
  double under = 0;
  for (const Sample& s : numbers) {
    double t = static_cast<double>(s.time - numbers.front().time) / 1e6 - mean_time;
    squares += (s.value - mean) * (s.value - mean);
    over += t * (s.value - mean);
    under += t * t;
  }
  if (kind == Kind::stddev) return std::sqrt(squares / (n - 1));
  return under == 0 ? null_value : over / under;
}

/// A figure worked out the plain way, from all samples in order of time.
inline double brute(const Aggregate& a, const std::vector<Sample>& samples) {
  using Kind = Aggregate::Kind;
  std::vector<Sample> numbers;
  for (const Sample& s : samples)
    if (!is_null(s.value)) numbers.push_back(s);
  auto n = static_cast<double>(numbers.size());
  std::vector<double> sorted;
  for (const Sample& s : numbers) sorted.push_back(s.value);
  std::sort(sorted.begin(), sorted.end());
  if (a.kind == Kind::count_all) return static_cast<double>(samples.size());
  if (a.kind == Kind::count) return n;
  if (a.kind == Kind::distinct) return static_cast<double>(std::set<double>(sorted.begin(), sorted.end()).size());
  if (numbers.empty()) return null_value;
  double sum = 0;
  for (const Sample& s : numbers) sum += s.value;
  double mean = sum / n;
  double squares = 0;
  for (const Sample& s : numbers) squares += (s.value - mean) * (s.value - mean);
  double first = numbers.front().value;
  double last = numbers.back().value;
  switch (a.kind) {
    case Kind::sum: return sum;
    case Kind::avg: return mean;
    case Kind::min: return sorted.front();
    case Kind::max: return sorted.back();
    case Kind::range: return sorted.back() - sorted.front();
    case Kind::first: return first;
    case Kind::last: return last;
    case Kind::stddevp: return std::sqrt(squares / n);
    case Kind::rise: return last - sorted.front();
    case Kind::fall: return sorted.back() - last;
    case Kind::percentile: {
      double rank = (n - 1) * a.share;
      auto low = static_cast<std::size_t>(std::floor(rank));
      std::size_t high = std::min(low + 1, sorted.size() - 1);
      return sorted[low] + (rank - std::floor(rank)) * (sorted[high] - sorted[low]);
    }
    case Kind::percentile_discrete:
      for (std::size_t i = 0; i < sorted.size(); ++i)
        if (static_cast<double>(i + 1) / n >= a.share - 1e-12) return sorted[i];
      return sorted.back();
    default: return brute_of_several(a.kind, numbers, mean);
  }
}

struct Row {
  Micros start, end;
  std::vector<double> figures;
};

/// All windows over a finished, ordered stream, found by trying every possible end.
inline std::vector<Row> brute_windows(const WindowPlan::Extent& e, const std::vector<Sample>& samples,
                                      const std::vector<Aggregate>& aggregates) {
  std::vector<Row> rows;
  auto add = [&](Micros start, Micros end, const std::vector<Sample>& inside) {
    if (inside.empty()) return;
    Row row{start, end, {}};
    for (const Aggregate& a : aggregates) row.figures.push_back(brute(a, inside));
    rows.push_back(std::move(row));
  };
  auto between = [&](Micros after, Micros through) {
    std::vector<Sample> inside;
    for (const Sample& s : samples)
      if (s.time > after && s.time <= through) inside.push_back(s);
    return inside;
  };
  if (samples.empty()) return rows;
  std::set<Micros> ends;
  switch (e.kind) {
    case WindowKind::hopping:
      for (Micros end = floor_div(samples.front().time - e.offset, e.hop) * e.hop + e.offset;
           end <= samples.back().time + e.size + e.hop; end += e.hop)
        add(end - e.size, end, between(end - e.size, end));
      break;
    case WindowKind::sliding:
      for (const Sample& s : samples) ends.insert({s.time, s.time + e.size});
      for (Micros end : ends) add(end - e.size, end, between(end - e.size, end));
      break;
    case WindowKind::snapshot:
      for (const Sample& s : samples) ends.insert(s.time);
      for (Micros end : ends) add(end, end, between(end - 1, end));
      break;
    case WindowKind::count:
      for (std::size_t i = static_cast<std::size_t>(e.records); i <= samples.size(); ++i)
        if (i % static_cast<std::size_t>(e.every) == 0) {
          std::vector<Sample> inside(samples.begin() + static_cast<std::ptrdiff_t>(i) - e.records,
                                     samples.begin() + static_cast<std::ptrdiff_t>(i));
          add(inside.front().time, inside.back().time, inside);
        }
      break;
    case WindowKind::session: {
      std::vector<Sample> open;
      Micros start = 0;
      auto check_after = [&](Micros from) {
        if (e.exact) return from + e.max_duration;
        Micros check = floor_div(from, e.max_duration) * e.max_duration;
        while (check - from <= e.max_duration) check += e.max_duration;
        return check;
      };
      for (const Sample& s : samples) {
        if (!open.empty()) {
          Micros last = open.back().time;
          Micros cut = check_after(start);
          if (last + e.timeout <= cut ? s.time > last + e.timeout : s.time > cut) {
            bool timed_out = last + e.timeout <= cut;
            add(start, timed_out ? last + e.timeout : cut, open);
            open.clear();
            start = !timed_out && s.time <= last + e.timeout ? cut : s.time;
          }
        } else {
          start = s.time;
        }
        open.push_back(s);
      }
      add(start, std::min(open.back().time + e.timeout, check_after(start)), open);
      break;
    }
    case WindowKind::trailing: break;
  }
  return rows;
}

}  // namespace millrace::alert::test
