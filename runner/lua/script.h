#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runner/lua/interpreter.h"
#include "runner/stage/error.h"
#include "runner/stage/record.h"

namespace millrace::lua {

class Records;

/// A script with `process(record, meta)`, `init()`, `tick(now)`, and the sandbox it runs in.
///
/// A script keeps what it wants to remember in its global or local variables. When it overruns its instructions or its memory
/// its state is thrown away: the next call begins with a new one, in which the script has run again from its first line and
/// init() has been called, and every variable is as it was at the start. An ordinary error leaves the variables alone.
///
/// All calls from one thread at a time. No call lasts longer than the instructions take, a few milliseconds with the default,
/// and in the worst case something over half a second of processor time.
class Script {
 public:
  using Rejected = std::function<void(const Record&, const Error&)>;

  /// Compiles `source` and runs it once, so that its functions are defined; init() is not called yet. An error is invalid and
  /// begins with `name:line:` where Lua knows it. A script without process() is invalid.
  static Result<Script> compile(std::string source, std::string name, Limits limits, Outside outside);

  Script(Script&&) noexcept;
  Script& operator=(Script&&) noexcept;
  ~Script();

  /// Calls init(), if the script has one.
  Result<void> init();

  /// Calls process() for each record. Those returned are what is left in the batch. A record for which the script fails is
  /// handed to `rejected` as it came in, with Lua's message and a traceback, and the next one goes on. Returns how many records
  /// the script has dropped by returning nothing.
  std::uint64_t process(Batch& batch, const Rejected& rejected);

  bool has_tick() const;

  /// Calls tick(now); what it returns, made by Record(), is the batch.
  Result<Batch> tick(Time now);

  /// Runs another chunk in the script's state, where it can use the script's functions, Record() included. For tests of
  /// scripts.
  Result<void> run(std::string_view source, const std::string& name);

  /// How often the state was thrown away.
  std::uint64_t restarts() const { return restarts_; }

  std::size_t memory_used() const;

 private:
  struct Pass;
  Script(std::string source, std::string name, Limits limits, Outside outside);
  Result<void> start();
  Result<void> ready();
  static int run_pass(struct lua_State* L);

  std::string source_;
  std::string name_;
  Limits limits_;
  Outside outside_;
  std::unique_ptr<Interpreter> interpreter_;
  std::unique_ptr<Records> records_;
  std::vector<Record> spread_;
  std::uint64_t restarts_ = 0;
  bool initialised_ = false;
};

}  // namespace millrace::lua
