#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/config/fields.h"
#include "runner/stage/plugin.h"

namespace millrace::graph {

/// The client plane's address: `listen` of a pipeline file.
struct Listen {
  std::string address = "127.0.0.1:8080";
  struct Tls {
    config::Path cert, key;
    static void describe(config::Fields<Tls>& f);
  };
  std::optional<Tls> tls;
  bool insecure = false;
  enum class Auth { automatic, required, none } auth = Auth::automatic;
  config::Path token_keys;  ///< empty: those of the data folder
  static void describe(config::Fields<Listen>& f);
};

/// How much a stage's input link holds before it is full.
struct Queue {
  std::size_t records = 10'000;
  config::Bytes bytes{8U << 20U};
  static void describe(config::Fields<Queue>& f);
};

/// The keys that every stage has.
struct StageKeys {
  std::string id;
  std::string plugin;
  std::vector<std::string> from;
  std::optional<Overflow> on_full;
  Queue queue;
  std::string publish;
  std::optional<Threading> thread;
  static void describe(config::Fields<StageKeys>& f);
};

/// One of a file's `tests:`, run by `millrace test` in virtual time.
struct TestCase {
  std::string name;
  std::vector<config::Node> input;

  struct Expect {
    std::optional<std::vector<config::Node>> alerts;
    std::optional<std::vector<config::Node>> notifications;
    config::Map<std::vector<config::Node>> outputs;
    config::Map<std::size_t> counts;
    static void describe(config::Fields<Expect>& f);
  } expect;

  config::Position position;
  static void describe(config::Fields<TestCase>& f);
};

/// A pipeline file's own keys.
struct PipelineKeys {
  std::string name;
  Listen listen;
  std::vector<config::Node> stages;
  std::vector<config::Node> tests;
  static void describe(config::Fields<PipelineKeys>& f);
};

}  // namespace millrace::graph
