#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <deque>
#include <random>
#include <set>
#include <vector>

#include "plugins/alert/slices.h"

using namespace millrace::alert;

namespace {

std::vector<Aggregate> named(std::initializer_list<const char*> names) {
  std::vector<Aggregate> all;
  for (const char* name : names) all.push_back(*parse_aggregate(name));
  return all;
}

SliceLayout layout_for(const std::vector<Aggregate>& aggregates, std::uint64_t most, bool sketch = false) {
  SliceLayout::Wanted wanted;
  wanted.most = wanted.usual = most;
  wanted.sketch = sketch;
  return {Shape(aggregates), wanted};
}

std::vector<double> figures(const Slices& slices, const SliceLayout& layout, const std::vector<Aggregate>& aggregates) {
  Slices::Scratch scratch;
  std::vector<double> found;
  slices.figures(layout, aggregates, scratch, found);
  return found;
}

/// The value at the rank of a percentile, and the next.
std::pair<double, double> neighbours(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  auto rank = static_cast<std::size_t>(static_cast<double>(values.size() - 1) * share);
  return {values[rank], values[std::min(rank + 1, values.size() - 1)]};
}

void within(double found, std::pair<double, double> between, double error) {
  CAPTURE(found, between.first, between.second, error);
  CHECK(found >= between.first - std::abs(between.first) * error - 1e-300);
  CHECK(found <= between.second + std::abs(between.second) * error + 1e-300);
}

}  // namespace

TEST_CASE("an estimated percentile lies within the error that is stated, while values come and leave") {
  const auto aggregates = named({"p05", "median", "p95", "pd99"});
  auto scale = GENERATE(1e-9, 1.0, 1e12);
  // Room for all buckets of the finest kind, and for few.
  auto [room, widest] = GENERATE(std::pair{2000U, 1.0 / 128}, std::pair{1000U, 0.25});
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SliceLayout layout = layout_for(aggregates, room, true);
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> spread(0, 1);
    Slices slices;
    std::deque<std::pair<Micros, double>> held;
    for (Micros at = 1; at < 6000; ++at) {
      double value = spread(random) * scale * (random() % 3 == 0 ? -1 : 1);
      if (random() % 50 == 0) value = 0;
      Micros slice = at / 60;
      slices.evict(layout, slice - 30);
      while (!held.empty() && held.front().first <= slice - 30) held.pop_front();
      slices.add(layout, slice, at, value);
      held.emplace_back(slice, value);
      if (at % 7 != 0) continue;
      std::vector<double> values;
      values.reserve(held.size());
      for (const auto& [index, v] : held) values.push_back(v);
      double error = slices.relative_error();
      REQUIRE(error > 0);
      REQUIRE(error <= widest);
      auto found = figures(slices, layout, aggregates);
      for (std::size_t i = 0; i < 3; ++i) within(found[i], neighbours(values, aggregates[i].share), error);
    }
  }
}

TEST_CASE("an estimated percentile is found between two clusters of values, and where it jumps") {
  const auto aggregates = named({"median", "pd50", "p95"});
  SliceLayout layout = layout_for(aggregates, 1000, true);
  Slices slices;
  auto estimates = [&] { return figures(slices, layout, aggregates); };
  for (Micros at = 0; at < 50; ++at) slices.add(layout, 1, at, -1);
  CHECK(estimates()[0] == Approx(-1).epsilon(1.0 / 128));
  for (Micros at = 50; at < 100; ++at) slices.add(layout, 2, at, 1000);
  CHECK(estimates()[0] == Approx(499.5).epsilon(1.0 / 64));
  CHECK(estimates()[1] == Approx(-1).epsilon(1.0 / 128));
  CHECK(estimates()[2] == Approx(1000).epsilon(1.0 / 128));
  slices.evict(layout, 1);
  for (double found : estimates()) CHECK(found == Approx(1000).epsilon(1.0 / 128));
  for (Micros at = 100; at < 10'000; ++at) slices.add(layout, 3, at, 1e-12);
  for (double found : estimates()) CHECK(found == Approx(1e-12).epsilon(1.0 / 128));
}

TEST_CASE("percentiles are exact up to the limit, and told to be estimates beyond it") {
  const auto aggregates = named({"p95"});
  SliceLayout layout = layout_for(aggregates, 1000);
  std::mt19937_64 random(3);
  std::vector<double> values;
  Slices slices;
  for (Micros at = 1; at <= 5000; ++at) {
    values.push_back(static_cast<double>(random() % 100'000) / 100 + 1);
    slices.add(layout, 1, at, values.back());
    auto [low, high] = neighbours(values, 0.95);
    double p95 = figures(slices, layout, aggregates)[0];
    if (at <= 1000) {
      REQUIRE(slices.relative_error() == 0);
      REQUIRE(p95 >= low);
      REQUIRE(p95 <= high);
    } else {
      REQUIRE(slices.relative_error() > 0);
      REQUIRE(slices.relative_error() <= 1.0 / 128);
      REQUIRE(p95 >= low * (1 - 1.0 / 128));
      REQUIRE(p95 <= high * (1 + 1.0 / 128));
    }
  }
}

TEST_CASE("a percentile asked for again and again stays exact while the values drift and leave") {
  for (const char* name : {"p50", "p75", "p95", "p99"}) {
    const auto aggregates = named({name});
    SliceLayout layout = layout_for(aggregates, 10'000);
    std::mt19937_64 random(11);
    std::deque<double> held;
    Slices slices;
    for (Micros at = 1; at < 4000; ++at) {
      double drift = 100 * std::sin(static_cast<double>(at) / 300);
      held.push_back(drift + static_cast<double>(random() % 1000) / 50);
      if (held.size() > 300) held.pop_front();
      slices.evict(layout, at - 300);
      slices.add(layout, at, at, held.back());
      std::vector<double> values(held.begin(), held.end());
      std::sort(values.begin(), values.end());
      double rank = static_cast<double>(values.size() - 1) * aggregates[0].share;
      auto below = static_cast<std::size_t>(rank);
      double next = values[std::min(below + 1, values.size() - 1)];
      double expected = values[below] + (rank - static_cast<double>(below)) * (next - values[below]);
      CAPTURE(name, at);
      REQUIRE(figures(slices, layout, aggregates)[0] == Approx(expected).epsilon(1e-12));
    }
  }
}

TEST_CASE("the number of different values is exact while few, and near beyond the limit") {
  const auto aggregates = named({"distinct"});
  SliceLayout layout = layout_for(aggregates, 4096);
  Slices slices;
  for (Micros at = 0; at < 100'000; ++at) slices.add(layout, at / 100, at, static_cast<double>(at % 1500));
  CHECK(figures(slices, layout, aggregates)[0] == 1500);
  CHECK(!slices.estimates());
  Slices many;
  for (Micros at = 0; at < 200'000; ++at) many.add(layout, at / 100, at, static_cast<double>(at));
  double found = figures(many, layout, aggregates)[0];
  CHECK(many.estimates());
  // Four standard errors of 1.2 / sqrt(2048).
  CHECK(std::abs(found - 200'000) < 200'000 * 4 * 1.2 / std::sqrt(2048.0));
}

TEST_CASE("more slices than the limit are joined: what leaves, leaves a little late, and nothing else is lost") {
  const auto aggregates = named({"count", "sum", "min", "max", "p95"});
  const std::uint64_t most = 64;
  SliceLayout layout = layout_for(aggregates, most);
  const Micros size = 1000;
  std::mt19937_64 random(5);
  std::deque<std::pair<Micros, double>> held;
  Slices slices;
  for (Micros at = 1; at < 30'000; at += 1 + static_cast<Micros>(random() % 3)) {
    double value = static_cast<double>(random() % 1000);
    slices.evict(layout, at - size);
    slices.add(layout, at, at, value);
    held.emplace_back(at, value);
    REQUIRE(slices.size() <= most);
    // At most half the limit's share of the window too long ago, on either side of a joint.
    Micros blur = 4 * size / static_cast<Micros>(most / 2);
    while (held.front().first <= at - size - blur) held.pop_front();
    double longest = static_cast<double>(held.size());
    auto inside = std::count_if(held.begin(), held.end(), [&](const auto& h) { return h.first > at - size; });
    auto found = figures(slices, layout, aggregates);
    REQUIRE(found[0] >= static_cast<double>(inside));
    REQUIRE(found[0] <= longest);
  }
  CHECK(slices.estimates());
}
