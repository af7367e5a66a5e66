#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "runner/lua/limits.h"

struct lua_Debug;
struct lua_State;

namespace millrace::lua {

/// What one Lua state has left to spend, and the means that make it stick.
///
/// - Instructions are counted by a hook. What the hook cannot see, work inside C, is charged: the allocator charges every byte
///   (so that `s .. s` of a large text costs what it costs) and the library's functions charge their loops.
/// - Once spent, it stays spent: the hook raises at every instruction, and pcall, xpcall and coroutine.resume of this library
/// pass
///   the error on. Whoever owns the state throws it away.
/// - A call that still spends seconds in C between two hooks is ended by its processor time, a backstop far beyond what
///   the instructions allow.
class Budget {
 public:
  enum class Spent : std::uint8_t { nothing, instructions, memory, text, time };

  explicit Budget(Limits limits);

  /// Fills the instructions up for a call from outside.
  void refill() {
    steps_ = static_cast<std::int64_t>(limits_.instructions);
    started_ = 0;
  }

  /// Takes `steps` for work done in C; raises in `L` if there are not so many.
  void charge(lua_State* L, std::uint64_t steps) {
    steps_ -= static_cast<std::int64_t>(steps);
    if (steps_ < 0 || spent_ != Spent::nothing) [[unlikely]]
      raise(L);
  }

  /// Takes steps without raising; the next hook or charge does.
  void take(std::uint64_t steps) { steps_ -= static_cast<std::int64_t>(steps); }

  /// Passes a spent budget on as an error that nothing in the script may keep.
  void rethrow_if_spent(lua_State* L) {
    if (spent_ != Spent::nothing) [[unlikely]]
      raise(L);
  }

  Spent spent() const { return spent_; }
  void spend_memory() { spent_ = Spent::memory; }
  std::string message() const;

  std::size_t memory_used() const { return used_; }
  std::size_t text_limit() const { return text_limit_; }
  const Limits& limits() const { return limits_; }

  /// The count hook's interval, in instructions. The cost is in counting, not in the hook, so it can be short.
  static constexpr int kHookInterval = 250;

  static void* allocate(void* budget, void* block, std::size_t old_size, std::size_t new_size);
  static void count_hook(lua_State* L, lua_Debug*);

 private:
  [[noreturn]] void raise(lua_State* L);
  void* refuse(std::size_t size, Spent reason);
  bool overtime();

  Limits limits_;
  std::size_t text_limit_;
  std::size_t used_ = 0;
  std::size_t refused_ = 0;  // size of the allocation just refused: asked for again after Lua's collection, it is final
  std::int64_t steps_ = 0;
  std::int64_t started_ = 0;
  std::int64_t started_cpu_ = 0;
  Spent spent_ = Spent::nothing;
};

}  // namespace millrace::lua
