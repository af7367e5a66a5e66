#include "runner/lua/budget.h"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <ctime>
#include <lua.hpp>

#include "runner/lua/interpreter.h"

namespace millrace::lua {
namespace {

constexpr std::int64_t kMaxCpu =
    500'000'000;                           // ns of processor time for one call, where the instructions alone take about 5 ms
constexpr std::size_t kBytesPerStep = 64;  // copying or clearing 64 bytes takes about as long as an instruction
constexpr std::size_t kLargeBlock = 64U << 10U;

std::int64_t nanoseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

Budget::Budget(Limits limits) : limits_(limits), text_limit_(std::max<std::size_t>(limits.memory / 64, 64U << 10U)), steps_(0) {
  refill();
}

std::string Budget::message() const {
  switch (spent_) {
    case Spent::instructions:
      return fmt::format("used up its {} instructions for one call (option `instructions`)", limits_.instructions);
    case Spent::memory: return fmt::format("went beyond its {} KiB of memory (option `memory`)", limits_.memory / 1024);
    case Spent::text:
      return fmt::format("made a text longer than {} KiB, a 64th of its memory (option `memory`)", text_limit_ / 1024);
    case Spent::time: return "kept the processor for more than half a second in one call";
    case Spent::nothing: break;
  }
  return "within its budget";
}

void* Budget::allocate(void* budget, void* block, std::size_t old_size, std::size_t new_size) {
  auto& self = *static_cast<Budget*>(budget);
  // For a new block Lua passes the kind of object in place of the old size.
  const std::size_t held = block ? old_size : 0;
  if (new_size == 0) {
    self.used_ -= held;
    std::free(block);
    return nullptr;
  }
  if (new_size > held) {
    self.take(new_size / kBytesPerStep);
    const bool text_too_long = !block && old_size == LUA_TSTRING && new_size > self.text_limit_ + 64;
    const bool spent = new_size > kLargeBlock && (self.steps_ < 0 || self.spent_ != Spent::nothing);
    if (text_too_long) return self.refuse(new_size, Spent::text);
    if (spent) return self.refuse(new_size, Spent::instructions);
    if (self.used_ - held + new_size > self.limits_.memory) return self.refuse(new_size, Spent::memory);
  }
  void* moved = std::realloc(block, new_size);
  if (!moved) return self.refuse(new_size, Spent::memory);
  self.used_ += new_size - held;
  if (new_size > held) self.refused_ = 0;
  return moved;
}

void* Budget::refuse(std::size_t size, Spent reason) {
  // Lua answers with a full collection, and asks again. Each costs time that grows with what the script holds.
  take(used_ / kBytesPerStep);
  if (refused_ == size && spent_ == Spent::nothing) spent_ = reason;
  refused_ = size;
  return nullptr;
}

bool Budget::overtime() {
  std::int64_t now = nanoseconds(CLOCK_MONOTONIC);
  if (started_ == 0) {
    started_ = now;
    started_cpu_ = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    return false;
  }
  // The thread's own time is dear to ask for, and other processes must not end this call.
  return now - started_ > kMaxCpu && nanoseconds(CLOCK_THREAD_CPUTIME_ID) - started_cpu_ > kMaxCpu;
}

void Budget::count_hook(lua_State* L, lua_Debug*) {
  Budget& self = Interpreter::of(L).budget();
  self.take(kHookInterval);
  if (self.spent_ == Spent::nothing && self.steps_ >= 0) {
    if (!self.overtime()) return;
    self.spent_ = Spent::time;
  }
  self.raise(L);
}

void Budget::raise(lua_State* L) {
  if (spent_ == Spent::nothing) spent_ = Spent::instructions;
  lua_sethook(L, count_hook, LUA_MASKCOUNT, 1);
  // A text made now could itself find no memory.
  lua_pushlightuserdata(L, this);
  lua_error(L);
  std::abort();  // lua_error does not return
}

}  // namespace millrace::lua
