#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/error.h"
#include "runner/stage/record.h"

namespace millrace::file_source {

/// Comma-separated values as RFC 4180 has them, the first row naming the columns. Fields in quotes are texts, and may hold
/// commas, line feeds and doubled quotes. Of the others, an empty one is null, `true` and `false` are bools, and what JSON
/// would read as a number is an int or a double; everything else is text, integers beyond 64 bits included. An unnamed column N
/// is `columnN`.
class CsvDecoder {
 public:
  using Bad = std::function<void(std::string_view row, const Error&)>;

  /// Appends a record for each whole row of `text`, and returns the bytes that these rows took; with `last` the last row needs
  /// no line feed. Rows that do not fit are told to `bad`. An error is one of the header: no row can be read without it.
  Result<std::size_t> decode(std::string_view text, bool last, Batch& batch, const Bad& bad);

  /// The next row is a header again.
  void restart() { columns_.clear(); }

 private:
  struct Cell {
    std::string text;  ///< without its quotes
    bool quoted = false;
  };
  enum class Row { whole, incomplete, malformed };

  Row split(std::string_view text, bool last, std::size_t& size);
  Result<void> name_columns();
  Result<void> append(Batch& batch) const;
  Cell& next_cell();

  std::vector<std::string> columns_;
  std::vector<Cell> cells_;  ///< of the row at hand; their room is used again
  std::size_t count_ = 0;
  std::string problem_;
};

}  // namespace millrace::file_source
