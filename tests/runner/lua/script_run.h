#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/lua/script.h"
#include "runner/stage/json.h"

namespace millrace::test {

/// A script on a fixed clock, what it logs and what it rejects.
struct ScriptRun {
  explicit ScriptRun(std::string source, lua::Limits limits = {}) : script(compile(std::move(source), limits)) {}

  lua::Outside outside() {
    return {[this] { return now; }, [this](LogLevel, std::string_view line) { logs.emplace_back(line); }};
  }

  lua::Script compile(std::string source, lua::Limits limits) {
    auto compiled = lua::Script::compile(std::move(source), "rule.lua", limits, outside());
    if (!compiled) FAIL(compiled.error().what);
    return std::move(*compiled);
  }

  /// One or more records (an object or a list of them) through process(); the fields of each that comes out, a line each.
  std::string process(std::string_view json) {
    batch = Batch{};
    if (auto decoded = JsonDecoder().decode(json, batch); !decoded) FAIL(decoded.error().what);
    for (Record& r : batch.records) {
      r.device = "porch";
      r.time = r.arrival = now;
      r.meta.push(batch.arena(), "topic", Value::string("devices/porch"));
    }
    return process_batch();
  }

  std::string process_batch() {
    errors.clear();
    rejected.clear();
    dropped = script.process(batch, [&](const Record& record, const Error& error) {
      CHECK(error.kind == ErrorKind::rejected);
      errors.push_back(error.what);
      rejected.emplace_back();
      append_json(rejected.back(), record.fields.view());
    });
    return lines(batch);
  }

  static std::string lines(const Batch& of) {
    std::string text;
    for (const Record& r : of.records) {
      if (!text.empty()) text += '\n';
      append_json(text, r.fields.view());
    }
    return text;
  }

  Time now = from_millis(1700000000000);
  std::vector<std::string> logs;
  lua::Script script;
  Batch batch;
  std::uint64_t dropped = 0;
  std::vector<std::string> errors;
  std::vector<std::string> rejected;
};

inline std::string process_function(std::string_view body) {
  return "function process(record, meta)\n" + std::string(body) + "\nend";
}

}  // namespace millrace::test
