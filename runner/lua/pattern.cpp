#include "runner/lua/pattern.h"

#include <cctype>
#include <cstring>
#include <lua.hpp>

#include "runner/lua/budget.h"

namespace millrace::lua {
namespace {

constexpr int kMaxDepth = 200;
constexpr std::uint64_t kChargeEvery = 128;

int code(char c) { return static_cast<unsigned char>(c); }

bool in_class(int c, char name) {
  bool in = false;
  switch (std::tolower(code(name))) {
    case 'a': in = std::isalpha(c); break;
    case 'c': in = std::iscntrl(c); break;
    case 'd': in = std::isdigit(c); break;
    case 'g': in = std::isgraph(c); break;
    case 'l': in = std::islower(c); break;
    case 'p': in = std::ispunct(c); break;
    case 's': in = std::isspace(c); break;
    case 'u': in = std::isupper(c); break;
    case 'w': in = std::isalnum(c); break;
    case 'x': in = std::isxdigit(c); break;
    default: return code(name) == c;  // an escaped character stands for itself
  }
  return in != (std::isupper(code(name)) != 0);
}

/// `set` points behind '[', `last` at the ']' that closes it.
bool in_set(int c, const char* set, const char* last) {
  const bool wanted = *set != '^';
  if (!wanted) ++set;
  for (; set < last; ++set) {
    if (*set == '%') {
      ++set;
      if (in_class(c, *set)) return wanted;
    } else if (set[1] == '-' && set + 2 < last) {
      if (code(set[0]) <= c && c <= code(set[2])) return wanted;
      set += 2;
    } else if (code(*set) == c) {
      return wanted;
    }
  }
  return !wanted;
}

}  // namespace

Matcher::Matcher(lua_State* L, Budget& budget, std::string_view subject, std::string_view pattern)
    : L_(L),
      budget_(budget),
      begin_(subject.data()),
      end_(subject.data() + subject.size()),
      pattern_(pattern.data()),
      pattern_end_(pattern.data() + pattern.size()) {}

Matcher::~Matcher() { budget_.take(steps_); }

void Matcher::count(std::uint64_t steps) {
  steps_ += steps;
  if (steps_ < kChargeEvery) return;
  const std::uint64_t due = steps_;
  steps_ = 0;
  budget_.charge(L_, due);
}

const char* Matcher::match(const char* from) {
  level_ = 0;
  depth_ = 0;
  return follow(from, pattern_);
}

/// Matches the pattern from `p` on at `s`. What has to come back to try something else recurses; the rest loops.
const char* Matcher::follow(const char* s, const char* p) {
  if (++depth_ > kMaxDepth) luaL_error(L_, "pattern too complex");
  const char* found = nullptr;
  for (;;) {
    count();
    if (p == pattern_end_) {
      found = s;
      break;
    }
    if (*p == '(') {
      found = p + 1 < pattern_end_ && p[1] == ')' ? open_capture(s, p + 2, kPosition) : open_capture(s, p + 1, kOpen);
      break;
    }
    if (*p == ')') {
      found = close_capture(s, p + 1);
      break;
    }
    if (*p == '$' && p + 1 == pattern_end_) {
      found = s == end_ ? s : nullptr;
      break;
    }
    if (*p == '%' && p + 1 < pattern_end_) {
      const char kind = p[1];
      if (kind == 'b') {
        s = balanced(s, p + 2);
        if (!s) break;
        p += 4;
        continue;
      }
      if (kind == 'f') {
        p += 2;
        if (p >= pattern_end_ || *p != '[') luaL_error(L_, "missing '[' after '%%f' in pattern");
        const char* set_end = item_end(p);
        if (!frontier(s, p, set_end)) break;
        p = set_end;
        continue;
      }
      if (std::isdigit(code(kind))) {
        s = back_reference(s, kind);
        if (!s) break;
        p += 2;
        continue;
      }
    }
    const char* after = item_end(p);
    const char quantifier = after < pattern_end_ ? *after : '\0';
    if (quantifier == '*') {
      found = longest(s, p, after);
      break;
    }
    if (quantifier == '-') {
      found = shortest(s, p, after);
      break;
    }
    const bool here = matches_item(s, p, after);
    if (quantifier == '+') {
      found = here ? longest(s + 1, p, after) : nullptr;
      break;
    }
    if (quantifier == '?') {
      if (here && (found = follow(s + 1, after + 1))) break;
      p = after + 1;
      continue;
    }
    if (!here) break;
    ++s;
    p = after;
  }
  --depth_;
  return found;
}

const char* Matcher::open_capture(const char* s, const char* p, std::ptrdiff_t size) {
  if (level_ >= kMaxCaptures) luaL_error(L_, "too many captures");
  captures_[static_cast<std::size_t>(level_)] = {s, size};
  ++level_;
  const char* found = follow(s, p);
  if (!found) --level_;
  return found;
}

const char* Matcher::close_capture(const char* s, const char* p) {
  int open = level_ - 1;
  while (open >= 0 && captures_[static_cast<std::size_t>(open)].size != kOpen) --open;
  if (open < 0) luaL_error(L_, "invalid pattern capture");
  Capture& capture = captures_[static_cast<std::size_t>(open)];
  capture.size = s - capture.start;
  const char* found = follow(s, p);
  if (!found) capture.size = kOpen;
  return found;
}

const char* Matcher::balanced(const char* s, const char* p) {
  if (p + 1 >= pattern_end_) luaL_error(L_, "malformed pattern (missing arguments to '%%b')");
  if (s >= end_ || *s != p[0]) return nullptr;
  int open = 1;
  for (++s; s < end_; ++s) {
    count();
    if (*s == p[1]) {
      if (--open == 0) return s + 1;
    } else if (*s == p[0]) {
      ++open;
    }
  }
  return nullptr;
}

const char* Matcher::back_reference(const char* s, char digit) {
  const int index = digit - '1';
  if (index < 0 || index >= level_ || captures_[static_cast<std::size_t>(index)].size == kOpen) {
    luaL_error(L_, "invalid capture index %%%d in pattern", index + 1);
  }
  const Capture& capture = captures_[static_cast<std::size_t>(index)];
  const auto size = static_cast<std::size_t>(capture.size);
  // A position capture has no text; its size, taken as Lua takes it, never fits.
  if (capture.size < 0 || static_cast<std::size_t>(end_ - s) < size) return nullptr;
  count(size / 16);
  return std::memcmp(capture.start, s, size) == 0 ? s + size : nullptr;
}

const char* Matcher::longest(const char* s, const char* item, const char* item_end) {
  std::ptrdiff_t repeats = 0;
  while (matches_item(s + repeats, item, item_end)) {
    count();
    ++repeats;
  }
  for (; repeats >= 0; --repeats) {
    if (const char* found = follow(s + repeats, item_end + 1)) return found;
  }
  return nullptr;
}

const char* Matcher::shortest(const char* s, const char* item, const char* item_end) {
  for (;;) {
    if (const char* found = follow(s, item_end + 1)) return found;
    if (!matches_item(s, item, item_end)) return nullptr;
    ++s;
  }
}

bool Matcher::frontier(const char* s, const char* set, const char* set_end) const {
  const int before = s == begin_ ? 0 : code(s[-1]);
  const int here = s == end_ ? 0 : code(*s);
  return !in_set(before, set + 1, set_end - 1) && in_set(here, set + 1, set_end - 1);
}

/// The end of the single-character item that begins at `p`.
const char* Matcher::item_end(const char* p) {
  const char first = *p++;
  if (first == '%') {
    if (p == pattern_end_) luaL_error(L_, "malformed pattern (ends with '%%')");
    return p + 1;
  }
  if (first != '[') return p;
  if (p < pattern_end_ && *p == '^') ++p;
  do {
    // A ']' right at the beginning of a set is an ordinary character.
    if (p == pattern_end_) luaL_error(L_, "malformed pattern (missing ']')");
    if (*p++ == '%' && p++ == pattern_end_) luaL_error(L_, "malformed pattern (missing ']')");
    count();
  } while (p >= pattern_end_ || *p != ']');
  return p + 1;
}

bool Matcher::matches_item(const char* s, const char* item, const char* item_end) const {
  if (s >= end_) return false;
  switch (*item) {
    case '.': return true;
    case '%': return in_class(code(*s), item[1]);
    case '[': return in_set(code(*s), item + 1, item_end - 1);
    default: return *item == *s;
  }
}

void Matcher::push_capture(int i, const char* from, const char* to) {
  if (i >= level_) {
    if (i != 0) luaL_error(L_, "invalid capture index %%%d", i + 1);
    lua_pushlstring(L_, from, static_cast<std::size_t>(to - from));
    return;
  }
  const Capture& capture = captures_[static_cast<std::size_t>(i)];
  if (capture.size == kOpen) luaL_error(L_, "unfinished capture");
  if (capture.size == kPosition) {
    lua_pushinteger(L_, capture.start - begin_ + 1);
  } else {
    lua_pushlstring(L_, capture.start, static_cast<std::size_t>(capture.size));
  }
}

int Matcher::push_captures(const char* from, const char* to) {
  const int count = level_ == 0 && from ? 1 : level_;
  luaL_checkstack(L_, count, "too many captures");
  for (int i = 0; i < count; ++i) push_capture(i, from, to);
  return count;
}

}  // namespace millrace::lua
