#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runner/lua/budget.h"
#include "runner/lua/limits.h"
#include "runner/stage/context.h"
#include "runner/stage/error.h"
#include "runner/stage/time.h"

struct lua_State;

namespace millrace::lua {

/// What a script reaches of the world: a clock, and a log for the operator.
struct Outside {
  std::function<Time()> now;
  std::function<void(LogLevel, std::string_view)> log;
};

/// One sandboxed Lua 5.4 state: the libraries that are safe to offer, the budget, calls that turn Lua's errors into Results.
/// It knows nothing of records: records.h gives scripts their view of a batch, and another view can be given in its place.
///
/// Offered: the basic functions, coroutine, math, string, table, utf8; os.time, os.date, os.clock and now() on the clock of
/// `Outside`; log() and print(). Not offered: load and its kin, require, io, debug, package, string.dump, collectgarbage,
/// metatables with __gc or __close, the strings' metatable. Not thread-safe; it does not move, for Lua holds its address.
class Interpreter {
 public:
  /// Fails only if the memory limit has no room for the libraries.
  static Result<std::unique_ptr<Interpreter>> open(Limits limits, Outside outside);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  /// The interpreter of a state or of a coroutine in it.
  static Interpreter& of(lua_State* L);

  /// Compiles `source`, text only, and runs it with a full budget. `name` stands before line numbers in messages.
  Result<void> run(std::string_view source, const std::string& name);

  /// Whether the script has defined a global function of this name.
  bool defines(const char* function) const;

  /// Calls the function below its `arguments` on the stack, with the budget as it is; the results replace both. On an error
  /// they are gone, and the error carries a traceback.
  Result<void> call(int arguments, int results);

  /// Whether the budget was overrun, so that this interpreter must be thrown away.
  bool lost() const { return budget_.spent() != Budget::Spent::nothing; }

  lua_State* state() const { return state_; }
  Budget& budget() { return budget_; }
  const Outside& outside() const { return outside_; }

  /// Whoever gives the scripts their view of the data keeps itself here, for its metamethods to find.
  void* view = nullptr;

  /// Hands a script's line to the log; beyond 20 a second they are counted instead and the count is logged when it is quiet.
  void log(LogLevel level, std::string_view text);

 private:
  Interpreter(Limits limits, Outside outside);
  static int on_error(lua_State* L);
  Error error_from(int status);
  std::string describe_error_object();

  Budget budget_;
  Outside outside_;
  lua_State* state_ = nullptr;
  std::string traceback_;
  Time log_second_{};
  int logged_ = 0;
};

}  // namespace millrace::lua
