#include "runner/config/values.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace millrace::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

constexpr std::array duration_units{Unit{"us", 1},         Unit{"ms", 1'000},        Unit{"s", 1'000'000},
                                    Unit{"m", 60'000'000}, Unit{"h", 3'600'000'000}, Unit{"d", 86'400'000'000}};
constexpr std::array size_units{
    Unit{"B", 1},           Unit{"KB", 1'000},      Unit{"MB", 1'000'000},  Unit{"GB", 1'000'000'000},
    Unit{"KiB", 1LL << 10}, Unit{"MiB", 1LL << 20}, Unit{"GiB", 1LL << 30}, Unit{"TiB", 1LL << 40}};

/// One number with its unit from the front of `text`, in the smallest unit; nothing if there is none or it does not fit.
template <std::size_t N>
std::optional<std::int64_t> take_quantity(std::string_view& text, const std::array<Unit, N>& units) {
  double number = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || number < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  std::size_t letters = 0;
  while (letters < text.size() && std::isalpha(static_cast<unsigned char>(text[letters]))) ++letters;
  for (const Unit& unit : units) {
    if (unit.name != text.substr(0, letters)) continue;
    text.remove_prefix(letters);
    double total = number * static_cast<double>(unit.factor);
    if (total > 9e18) return std::nullopt;
    return std::llround(total);
  }
  return std::nullopt;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  Error wrong = invalid("a duration with its unit, such as 250ms, 30s, 5m or 1h30m");
  std::string_view rest = text;
  std::int64_t total = 0;
  if (rest.empty()) return wrong;
  while (!rest.empty()) {
    auto part = take_quantity(rest, duration_units);
    if (!part || *part > std::numeric_limits<std::int64_t>::max() / 4 - total) return wrong;
    total += *part;
  }
  return Duration(total);
}

std::string show_duration(Duration duration) {
  std::int64_t us = duration.count();
  if (us == 0) return "0s";
  std::string text;
  // Largest units first; days only where nothing smaller is left, as people write 36h but 7d.
  if (us % duration_units[5].factor == 0) return fmt::format("{}d", us / duration_units[5].factor);
  for (std::size_t i = 5; i-- > 0;) {
    std::int64_t count = us / duration_units[i].factor;
    if (count == 0) continue;
    text += fmt::format("{}{}", count, duration_units[i].name);
    us -= count * duration_units[i].factor;
  }
  return text;
}

Result<Bytes> parse_bytes(std::string_view text) {
  std::string_view rest = text;
  auto count = take_quantity(rest, size_units);
  if (!count || !rest.empty()) return invalid("a size with its unit, such as 512B, 64KiB or 1GiB");
  return Bytes{static_cast<std::uint64_t>(*count)};
}

std::string show_bytes(Bytes bytes) {
  for (std::size_t i = size_units.size(); i-- > 4;) {
    auto factor = static_cast<std::uint64_t>(size_units[i].factor);
    if (bytes.count >= factor && bytes.count % factor == 0)
      return fmt::format("{}{}", bytes.count / factor, size_units[i].name);
  }
  return fmt::format("{}B", bytes.count);
}

}  // namespace millrace::config
