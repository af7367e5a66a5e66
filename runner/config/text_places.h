#pragma once

#include <string_view>

#include "runner/config/node.h"

namespace millrace::config {

/// Places in a text as people and editors count them: in characters, from 1. Costs little where places are asked for in the
/// text's order.
class TextPlaces {
 public:
  /// The text must outlive it.
  explicit TextPlaces(std::string_view text) : text_(text) {}

  /// Of a line and a byte in it, both counted from 0, as a parser of bytes has them.
  Position of(int line, int byte);

 private:
  const std::string_view text_;
  std::size_t line_start_ = 0;
  int line_ = 0;
  int byte_ = 0;        ///< of the line, up to which it has been counted
  int characters_ = 0;  ///< before that byte
};

}  // namespace millrace::config
