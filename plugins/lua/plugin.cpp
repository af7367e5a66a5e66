#include "runner/config/plugin.h"

#include <optional>
#include <string>
#include <utility>

#include "runner/lua/script.h"
#include "runner/stage/connects_beside.h"

namespace millrace {
namespace {

/// Runs every record through a script. What the script fails on goes to the dead letters with Lua's message and a traceback,
/// and the next record goes on; a script never stops the pipeline. The script is part of the configuration: a changed file
/// makes a new stage, whose variables start afresh.
class Lua final : public Transform, public ConnectsBeside {
 public:
  struct Config {
    std::optional<config::InputFile> script;
    std::string code;
    config::Bytes memory{64U << 20U};
    std::uint64_t instructions = 1000000;
    std::optional<Duration> tick;

    static void describe(config::Fields<Config>& f);

    Result<lua::Script> compile(lua::Outside outside) const {
      const lua::Limits limits{.memory = memory.count, .instructions = instructions};
      if (script) return lua::Script::compile(script->text, script->path.filename().string(), limits, std::move(outside));
      return lua::Script::compile(code, "code", limits, std::move(outside));
    }
  };

  Lua(Config config, Context context)
      : config_(std::move(config)),
        context_(std::move(context)),
        dropped_(context_.dropped("script")),
        errors_(context_.counter("script_errors")),
        restarts_(context_.counter("script_restarts")),
        memory_(context_.gauge("script_memory_bytes")) {}

  Result<void> connect() override {
    auto compiled =
        config_.compile({[context = context_] { return context.now(); },
                         [context = context_](LogLevel level, std::string_view line) { context.log(level, line); }});
    if (!compiled) return compiled.error();
    script_.emplace(std::move(*compiled));
    if (Result<void> begun = script_->init(); !begun) return invalid("init() failed: " + begun.error().what);
    if (script_->has_tick()) next_ = context_.now() + interval();
    return {};
  }

  Result<Batch> process(Batch&& batch) override {
    dropped_.add(script_->process(batch, [this](const Record& record, const Error& error) {
      errors_.add();
      context_.reject(record, error);
    }));
    observe();
    return std::move(batch);
  }

  std::optional<Time> next_tick() const override { return next_; }

  Result<Batch> tick(Time now) override {
    if (!next_ || now < *next_) return Batch{};
    // Ticks that the runner was too busy for are not made up.
    next_ = *next_ + interval() * ((now - *next_) / interval() + 1);
    Result<Batch> made = script_->tick(now);
    observe();
    if (made) return made;
    errors_.add();
    context_.log(LogLevel::error, "tick() failed: " + made.error().what);
    return Batch{};
  }

 private:
  Duration interval() const { return config_.tick.value_or(1s); }

  void observe() {
    restarts_.set(script_->restarts());
    memory_.set(script_->memory_used());
  }

  const Config config_;
  Context context_;
  Counter& dropped_;
  Counter& errors_;
  Counter& restarts_;
  Counter& memory_;
  std::optional<lua::Script> script_;
  std::optional<Time> next_;
};

void Lua::Config::describe(config::Fields<Config>& f) {
  f.field("script", &Config::script).doc("The script's file; saving it replaces the running script.");
  f.field("code", &Config::code).doc("The script itself, for a few lines; either this or `script`.");
  f.field("memory", &Config::memory)
      .doc(
          "All that the script may hold; a single text may have a 64th of it. Beyond it the record is rejected and the script "
          "starts afresh.")
      .min(config::Bytes{512U << 10U})
      .max(config::Bytes{std::uint64_t{4} << 30U});
  f.field("instructions", &Config::instructions)
      .doc(
          "What one call of the script may do, work inside library functions included. Beyond it the record is rejected and "
          "the script starts afresh.")
      .min(std::uint64_t{1000})
      .max(std::uint64_t{1000000000});
  f.field("tick", &Config::tick)
      .doc("How often tick(now) is called, if the script has one; 1s if not given.")
      .min(1ms)
      .max(std::chrono::hours(24));
  f.check({"script", "code"}, [](const Config& c, config::CheckReport<Config>& report) {
    const bool inline_code = report.given("code");
    if (c.script.has_value() == inline_code) {
      report.wrong(inline_code ? "code" : "",
                   inline_code ? "give either 'script' or 'code', not both" : "missing key 'script' (or 'code')");
      return;
    }
    // A script's first run defines its functions and touches nothing outside.
    auto compiled = c.compile({[] { return Time{}; }, [](LogLevel, std::string_view) {}});
    if (!compiled) {
      report.wrong(inline_code ? "code" : "script", compiled.error().what);
    } else if (c.tick && !compiled->has_tick()) {
      report.wrong("tick", "the script defines no function tick(now)");
    }
  });
}

}  // namespace

Plugin lua_plugin() {
  return config::define_plugin<Lua>("lua", "A Lua script that changes, splits, drops or makes records, in a sandbox.");
}

}  // namespace millrace
