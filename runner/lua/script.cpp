#include "runner/lua/script.h"

#include <lua.hpp>
#include <utility>

#include "runner/lua/records.h"
#include "runner/lua/values.h"

namespace millrace::lua {

Script::Script(std::string source, std::string name, Limits limits, Outside outside)
    : source_(std::move(source)), name_(std::move(name)), limits_(limits), outside_(std::move(outside)) {}
Script::Script(Script&&) noexcept = default;
Script& Script::operator=(Script&&) noexcept = default;
Script::~Script() = default;

Result<Script> Script::compile(std::string source, std::string name, Limits limits, Outside outside) {
  Script script(std::move(source), std::move(name), limits, std::move(outside));
  if (Result<void> started = script.start(); !started) return invalid(started.error().what);
  if (!script.interpreter_->defines("process")) {
    return invalid(script.name_ + ": the script defines no function process(record, meta)");
  }
  return script;
}

Result<void> Script::start() {
  records_.reset();
  interpreter_.reset();
  auto opened = Interpreter::open(limits_, outside_);
  if (!opened) return opened.error();
  interpreter_ = std::move(*opened);
  records_ = std::make_unique<Records>(*interpreter_);
  if (Result<void> added = records_->open(); !added) return added;
  return interpreter_->run(source_, name_);
}

Result<void> Script::init() {
  initialised_ = true;
  if (!interpreter_->defines("init")) return {};
  interpreter_->budget().refill();
  lua_getglobal(interpreter_->state(), "init");
  return interpreter_->call(0, 0);
}

/// A state fit for a call: a new one if the last was lost.
Result<void> Script::ready() {
  if (interpreter_ && !interpreter_->lost()) return {};
  ++restarts_;
  Result<void> started = start();
  if (started && initialised_) started = init();
  if (!started) {
    // Half a state is none: the next call tries again.
    records_.reset();
    interpreter_.reset();
  }
  return started;
}

/// One run over a batch, kept outside of Lua so that it survives an error in the middle.
struct Script::Pass {
  Script& script;
  Batch& batch;
  std::size_t next = 0;  // the record in Lua's hands
  std::size_t kept = 0;  // records to keep, at the front of the batch
  bool spread = false;   // there are more records than came in: they go to spread_
  std::uint64_t dropped = 0;

  void keep() {
    if (spread) {
      script.spread_.push_back(batch.records[next]);
      return;
    }
    if (kept != next) batch.records[kept] = batch.records[next];
    ++kept;
  }

  void keep(const std::vector<Record>& several) {
    if (several.empty()) ++dropped;
    // The list may hold the record in hand, so its place is free; the next one's is not.
    if (!spread && kept + several.size() > next + 1) {
      spread = true;
      script.spread_.assign(batch.records.begin(), batch.records.begin() + static_cast<std::ptrdiff_t>(kept));
    }
    if (spread) {
      script.spread_.insert(script.spread_.end(), several.begin(), several.end());
      return;
    }
    for (const Record& record : several) batch.records[kept++] = record;
  }

  void finish() {
    if (spread) {
      batch.records.swap(script.spread_);
      script.spread_.clear();
    } else {
      batch.records.resize(kept);
    }
  }
};

int Script::run_pass(lua_State* L) {
  Pass& pass = *static_cast<Pass*>(lua_touserdata(L, 1));
  Records& records = *pass.script.records_;
  Budget& budget = pass.script.interpreter_->budget();
  const std::size_t count = pass.batch.records.size();
  lua_getglobal(L, "process");
  for (; pass.next < count; ++pass.next) {
    budget.refill();
    records.begin(&pass.batch.records[pass.next]);
    lua_pushvalue(L, 2);
    records.push_record(L);
    records.push_meta(L);
    lua_call(L, 2, 1);
    budget.rethrow_if_spent(L);
    switch (records.take(L, "process")) {
      case Records::Returned::itself: pass.keep(); break;
      case Records::Returned::nothing: ++pass.dropped; break;
      case Records::Returned::several:
        // As the arena, the list of records may grow by the script's memory within one batch.
        if ((pass.script.spread_.size() + records.returned().size()) * sizeof(Record) > budget.limits().memory) {
          luaL_error(L, "the script has made more records of one batch than its memory has room for");
        }
        pass.keep(records.returned());
        break;
    }
    lua_settop(L, 2);
  }
  return 0;
}

std::uint64_t Script::process(Batch& batch, const Rejected& rejected) {
  Pass pass{*this, batch};
  const std::size_t arena_start = batch.arena().used();
  while (pass.next < batch.size()) {
    Result<void> outcome = ready();
    if (outcome) {
      records_->use(batch.arena(), arena_start);
      lua_State* L = interpreter_->state();
      lua_pushcfunction(L, run_pass);
      lua_pushlightuserdata(L, &pass);
      outcome = interpreter_->call(1, 0);
      if (!outcome) records_->restore();
      records_->end();
    }
    if (outcome) break;
    rejected(batch.records[pass.next], outcome.error());
    ++pass.next;
  }
  pass.finish();
  return pass.dropped;
}

bool Script::has_tick() const { return interpreter_ && interpreter_->defines("tick"); }

Result<Batch> Script::tick(Time now) {
  Batch batch;
  if (Result<void> fit = ready(); !fit) return fit.error();
  lua_State* L = interpreter_->state();
  interpreter_->budget().refill();
  records_->use(batch.arena(), 0);
  records_->begin(nullptr);
  struct Call {
    Script& script;
    Time now;
    Batch& batch;
  } call{*this, now, batch};
  lua_pushcfunction(L, [](lua_State* state) {
    auto& self = *static_cast<Call*>(lua_touserdata(state, 1));
    lua_getglobal(state, "tick");
    push_time(state, self.now);
    lua_call(state, 1, 1);
    if (self.script.records_->take(state, "tick") == Records::Returned::several)
      self.batch.records = self.script.records_->returned();
    return 0;
  });
  lua_pushlightuserdata(L, &call);
  Result<void> outcome = interpreter_->call(1, 0);
  records_->end();
  if (!outcome) return outcome.error();
  return batch;
}

Result<void> Script::run(std::string_view source, const std::string& name) {
  if (Result<void> fit = ready(); !fit) return fit;
  Batch batch;
  records_->use(batch.arena(), 0);
  records_->begin(nullptr);
  Result<void> outcome = interpreter_->run(source, name);
  records_->end();
  return outcome;
}

std::size_t Script::memory_used() const { return interpreter_ ? interpreter_->budget().memory_used() : 0; }

}  // namespace millrace::lua
