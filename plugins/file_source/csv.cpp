#include "plugins/file_source/csv.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runner/stage/json_number.h"

namespace millrace::file_source {
namespace {

/// The value of a cell without quotes. `text` ends with a NUL, which no number goes beyond.
Value infer(const std::string& text, Arena& arena) {
  if (text.empty()) return Value::null();
  if (text == "true" || text == "false") return Value::boolean(text == "true");
  const char* first = text.c_str();
  const char* end = first + text.size();
  json::Digits digits;
  if (json::scan_number(first, digits) == end) {
    constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (digits.integer) {
      if (digits.count <= 19 && digits.mantissa <= limit + (digits.negative ? 1 : 0))
        return Value::integer(static_cast<std::int64_t>(digits.negative ? 0 - digits.mantissa : digits.mantissa));
    } else if (double number = json::nearest_double(digits, first, end); std::isfinite(number)) {
      return Value::real(number);
    }
  }
  return Value::string(arena.copy(text));
}

}  // namespace

CsvDecoder::Cell& CsvDecoder::next_cell() {
  if (count_ == cells_.size()) cells_.emplace_back();
  Cell& cell = cells_[count_++];
  cell.text.clear();
  cell.quoted = false;
  return cell;
}

/// Splits the first row of `text` into cells; `size` is what it takes with its line end. A malformed row ends at the next line
/// feed, as it is not known where its quotes end.
CsvDecoder::Row CsvDecoder::split(std::string_view text, bool last, std::size_t& size) {
  count_ = 0;
  problem_.clear();
  std::size_t i = 0;
  for (;;) {
    Cell& cell = next_cell();
    if (i < text.size() && text[i] == '"') {
      cell.quoted = true;
      ++i;
      for (;;) {
        std::size_t quote = text.find('"', i);
        if (quote == std::string_view::npos) {
          if (!last) return Row::incomplete;
          problem_ = fmt::format("the quotes of field {} are never closed", count_);
          break;
        }
        cell.text.append(text, i, quote - i);
        i = quote + 1;
        if (i >= text.size() || text[i] != '"') break;
        cell.text += '"';
        ++i;
      }
    }
    std::size_t end = text.find_first_of(",\n", i);
    if (end == std::string_view::npos && !last) return Row::incomplete;
    std::string_view rest = text.substr(i, end == std::string_view::npos ? end : end - i);
    bool row_ends = end == std::string_view::npos || text[end] == '\n';
    if (row_ends && rest.ends_with('\r')) rest.remove_suffix(1);
    if (cell.quoted && !rest.empty() && problem_.empty())
      problem_ = fmt::format("field {} goes on behind its closing quote", count_);
    if (!cell.quoted && rest.find('"') != std::string_view::npos && problem_.empty())
      problem_ = fmt::format("field {} holds a quote but does not begin with one", count_);
    if (!problem_.empty()) break;
    if (!cell.quoted) cell.text = rest;
    i = end == std::string_view::npos ? text.size() : end + 1;
    if (!row_ends) continue;
    size = i;
    return Row::whole;
  }
  std::size_t feed = text.find('\n');
  if (feed == std::string_view::npos && !last) return Row::incomplete;
  size = feed == std::string_view::npos ? text.size() : feed + 1;
  return Row::malformed;
}

Result<void> CsvDecoder::name_columns() {
  std::vector<std::string> columns;
  for (std::size_t i = 0; i < count_; ++i) {
    std::string name = cells_[i].text.empty() ? fmt::format("column{}", i + 1) : cells_[i].text;
    if (std::ranges::find(columns, name) != columns.end())
      return invalid(fmt::format("the header names column '{}' twice", name));
    if (!simdjson::validate_utf8(name)) return invalid(fmt::format("the name of column {} is not UTF-8", i + 1));
    columns.push_back(std::move(name));
  }
  columns_ = std::move(columns);
  return {};
}

Result<void> CsvDecoder::append(Batch& batch) const {
  if (count_ != columns_.size())
    return rejected(fmt::format("the row has {} fields, where the header has {}", count_, columns_.size()));
  for (std::size_t i = 0; i < count_; ++i)
    if (!simdjson::validate_utf8(cells_[i].text)) return rejected(fmt::format("field '{}' is not UTF-8", columns_[i]));
  Arena& arena = batch.arena();
  Record& record = batch.append();
  record.fields.reserve(arena, count_ + 2);
  for (std::size_t i = 0; i < count_; ++i) {
    const Cell& cell = cells_[i];
    record.fields.push(arena, arena.copy(columns_[i]),
                       cell.quoted ? Value::string(arena.copy(cell.text)) : infer(cell.text, arena));
  }
  return {};
}

Result<std::size_t> CsvDecoder::decode(std::string_view text, bool last, Batch& batch, const Bad& bad) {
  std::size_t done = 0;
  while (done < text.size()) {
    std::string_view rest = text.substr(done);
    std::size_t size = 0;
    Row row = split(rest, last, size);
    if (row == Row::incomplete) break;
    std::string_view whole = rest.substr(0, size);
    done += size;
    bool blank = row == Row::whole && count_ == 1 && cells_[0].text.empty() && !cells_[0].quoted;
    if (blank) continue;
    if (columns_.empty()) {
      if (row == Row::malformed) return invalid("the header cannot be read: " + problem_);
      if (auto named = name_columns(); !named) return named.error();
      continue;
    }
    if (row == Row::malformed) {
      bad(whole, rejected(problem_));
    } else if (auto appended = append(batch); !appended) {
      bad(whole, appended.error());
    }
  }
  return done;
}

}  // namespace millrace::file_source
