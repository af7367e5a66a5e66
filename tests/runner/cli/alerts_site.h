#pragma once

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "runner/cli/commands.h"
#include "runner/store/store.h"
#include "tests/support/temp_folder.h"

/// `millrace alerts` over a history, as the tests of it run it.
namespace millrace::cli::site {

using Catch::Matchers::Contains;
using nlohmann::json;

struct Outcome {
  int status = 0;
  std::string out, err;
};

/// Runs `millrace alerts ...` with its outputs caught.
inline Outcome run(std::vector<std::string> arguments, const std::filesystem::path& scratch) {
  CLI::App app;
  app.require_subcommand(1);
  cli::Program program;
  cli::add_alerts(app, program);
  Outcome outcome;
  auto redirect = [](std::FILE* file, const std::filesystem::path& path) {
    std::fflush(file);
    int kept = ::dup(::fileno(file));
    std::FILE* caught = std::fopen(path.c_str(), "w");
    ::dup2(::fileno(caught), ::fileno(file));
    std::fclose(caught);
    return kept;
  };
  auto restore = [](std::FILE* file, int kept) {
    std::fflush(file);
    ::dup2(kept, ::fileno(file));
    ::close(kept);
  };
  auto read = [](const std::filesystem::path& path) {
    std::ifstream in(path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  int out = redirect(stdout, scratch / "out");
  int err = redirect(stderr, scratch / "err");
  arguments.insert(arguments.begin(), "alerts");
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(arguments);
    outcome.status = program.status;
  } catch (const CLI::ParseError&) {
    outcome.status = cli::wrong_use;
  }
  restore(stdout, out);
  restore(stderr, err);
  outcome.out = read(scratch / "out");
  outcome.err = read(scratch / "err");
  return outcome;
}

/// A data folder whose history has one incident that has ended and one that is open, of the same key.
struct Site {
  test::TempFolder scratch;
  std::filesystem::path data = scratch.path() / "data";

  Site() {
    std::filesystem::create_directories(data);
    auto store = store::Store::open(data).value();
    const auto now = to_whole_millis(SystemClock().now());
    write(*store, 1, 1, "OK", "FIRING", "condition", now - 7'200'000);
    write(*store, 1, 2, "FIRING", "OK", "resolved", now - 7'100'000);
    write(*store, 2, 3, "OK", "FIRING", "condition", now - 60'000);
    REQUIRE(store->flush());
  }

  static void write(store::Store& store, std::uint64_t opening, std::uint64_t ordinal, const char* from, const char* to,
                    const char* reason, std::int64_t ms) {
    store::Commit commit;
    commit.pipeline = "house";
    commit.stage = "climate";
    store::Event event;
    event.incident_id = store::incident_id("house/climate/hot/room", opening);
    event.ordinal = ordinal;
    event.rule = "hot";
    event.key = "room";
    event.from_state = from;
    event.to_state = to;
    event.level_to = "warning";
    event.reason = reason;
    event.opens = event.to_state == "FIRING";
    event.event_ms = event.wall_ms = ms;
    event.value = 31.5;
    event.message = "room is hot\x1b[31m";
    store::State state;
    state.rule = "hot";
    state.key = "room";
    state.state = to;
    state.opening = opening;
    state.events = ordinal;
    if (event.opens) state.incident_id = event.incident_id;
    commit.events.push_back(event);
    commit.states.push_back(state);
    store.commit(std::move(commit), {});
  }

  Outcome alerts(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--data", data.string()});
    return run(std::move(arguments), scratch.path());
  }
};

}  // namespace millrace::cli::site
