#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

struct lua_State;

namespace millrace::lua {

class Budget;

/// Lua's patterns (reference manual 5.4, section 6.4.1) with the same results as Lua's own matcher, and every step charged:
/// Lua's backtracks inside C, where no hook sees it, for as long as a pattern like `.-.-.-.-b` demands. Malformed patterns
/// raise, as there, once they are reached.
class Matcher {
 public:
  static constexpr int kMaxCaptures = 32;

  Matcher(lua_State* L, Budget& budget, std::string_view subject, std::string_view pattern);
  ~Matcher();
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  /// The end of a match that begins at `from`, or null. Forgets earlier captures.
  const char* match(const char* from);

  int captures() const { return level_; }

  /// Pushes capture `i` (from 0) of the match [from, to): a string or a position. With no captures the whole match is the
  /// first.
  void push_capture(int i, const char* from, const char* to);

  /// Pushes all captures, or the whole match if there are none and `from` is given; returns how many.
  int push_captures(const char* from, const char* to);

  const char* begin() const { return begin_; }
  const char* end() const { return end_; }

 private:
  static constexpr std::ptrdiff_t kOpen = -1;
  static constexpr std::ptrdiff_t kPosition = -2;
  struct Capture {
    const char* start;
    std::ptrdiff_t size;
  };

  const char* follow(const char* s, const char* p);
  const char* open_capture(const char* s, const char* p, std::ptrdiff_t size);
  const char* close_capture(const char* s, const char* p);
  const char* balanced(const char* s, const char* p);
  const char* back_reference(const char* s, char digit);
  const char* longest(const char* s, const char* item, const char* item_end);
  const char* shortest(const char* s, const char* item, const char* item_end);
  bool frontier(const char* s, const char* set, const char* set_end) const;
  const char* item_end(const char* p);
  bool matches_item(const char* s, const char* item, const char* item_end) const;
  void count(std::uint64_t steps = 1);

  lua_State* L_;
  Budget& budget_;
  const char* begin_;
  const char* end_;
  const char* pattern_;
  const char* pattern_end_;
  std::uint64_t steps_ = 0;
  int depth_ = 0;
  int level_ = 0;
  std::array<Capture, kMaxCaptures> captures_;
};

}  // namespace millrace::lua
