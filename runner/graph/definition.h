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

/// What a power cut may take of what a link keeps on disk.
enum class SpoolSync { os, timed, always };

/// How a link with `on_full: spool` keeps on disk what its queue cannot hold.
struct Spool {
  config::Bytes limit{1ULL << 30U};
  SpoolSync sync = SpoolSync::os;
  static void describe(config::Fields<Spool>& f);
};

/// The keys of a stage's links to other processes: `curve` of a stage.
struct CurveKeys {
  config::Secret secret;
  std::string reader, publisher;
  static void describe(config::Fields<CurveKeys>& f);
};

/// Keeping what the sources receive, for `millrace replay`: `record` of a pipeline file.
struct RecordKeys {
  Duration keep{std::chrono::hours(7 * 24)};
  config::Bytes limit{1ULL << 30U};
  bool operator==(const RecordKeys&) const = default;
  static void describe(config::Fields<RecordKeys>& f);
};

/// The keys that every stage has.
struct StageKeys {
  std::string id;
  std::string plugin;
  std::vector<std::string> from;
  std::optional<Overflow> on_full;
  Queue queue;
  std::optional<Spool> spool;
  std::string publish;
  std::optional<CurveKeys> curve;
  std::optional<Threading> thread;
  static void describe(config::Fields<StageKeys>& f);
};

/// One of a file's `tests:`, run by `millrace test` in virtual time. What stands inside the inputs and the rows is read by the
/// command (runner/cli/test_case.h).
struct TestCase {
  std::string name;
  std::vector<config::Node> input;

  /// Rows to look for in what a pipeline has done; each names the members that it cares for.
  struct Rows {
    std::optional<std::vector<config::Node>> alerts, notifications, clients;
    config::Map<std::vector<config::Node>> outputs;
    static void describe(config::Fields<Rows>& f);
  };
  struct Count {
    std::optional<std::size_t> exactly, at_least, at_most;
    static void describe(config::Fields<Count>& f);
  };
  struct Expect : Rows {
    config::Map<Count> counts;
    Rows among, none;
    static void describe(config::Fields<Expect>& f);
  } expect;

  config::Position position;
  static void describe(config::Fields<TestCase>& f);
};

/// A pipeline file's own keys.
struct PipelineKeys {
  std::string name;
  Listen listen;
  std::optional<RecordKeys> record;
  std::vector<config::Node> stages;
  std::vector<config::Node> tests;
  static void describe(config::Fields<PipelineKeys>& f);
};

}  // namespace millrace::graph
