#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/config/yaml.h"
#include "runner/graph/definition.h"
#include "runner/graph/listen_check.h"

namespace millrace::graph {

/// One stage of a checked pipeline. Nothing runs yet.
struct Stage {
  std::string id;
  config::Position position;       ///< in the file; what `publish` or `from: ADDR` adds has that of its stage
  config::Node node;               ///< as the file has it: where its options stand
  const Plugin* plugin = nullptr;  ///< null only in what examine() returns of a file with problems
  std::function<AnyStage(Context)> make;
  std::vector<std::size_t> from;  ///< indices into Pipeline::stages, always smaller than its own
  Overflow on_full = Overflow::block;
  Queue queue;
  Spool spool;  ///< used where on_full is spool
  Threading threading = Threading::shared;

  /// Equal for two versions of a file if the stage itself (not its wiring) is the same, down to the files that it reads.
  std::string fingerprint;
};

/// A checked pipeline: its stages in an order in which records flow only forward.
struct Pipeline {
  std::string name;
  config::Position name_position;  ///< of `name` in the file, else of its beginning
  std::filesystem::path file;      ///< empty where the text is nobody's file
  Listen listen;
  bool serves = false;  ///< wants its listener: the file names the address, or a stage serves there
  std::optional<RecordKeys> record;
  std::vector<Stage> stages;
  std::vector<TestCase> tests;
  std::vector<std::filesystem::path> inputs;  ///< other files that the file names, to be watched with it

  std::vector<std::size_t> readers_of(std::size_t stage) const;
};

/// The plugins that stand for the two ends of a link to another process, with one option, `address`. The graph adds such a
/// stage where a file says `publish: ADDR` or `from: ADDR`; they come with the list of plugins like all others.
inline constexpr std::string_view publisher_plugin = "publisher";    ///< a sink
inline constexpr std::string_view subscriber_plugin = "subscriber";  ///< a source

/// Reads pipeline files against the plugins there are.
class Loader {
 public:
  /// Without a `listen_check` an address is taken as it is.
  Loader(std::vector<Plugin> plugins, config::Environment environment, ListenCheck listen_check = {});

  const std::vector<Plugin>& plugins() const { return plugins_; }
  const Plugin* find(std::string_view name) const;
  const ListenCheck& listen_check() const { return listen_check_; }

  /// Reads a file; nothing if there are problems, which are then in `problems`.
  std::optional<Pipeline> load(config::Problems& problems) const;

  /// The same from text, as if it stood in problems.file().
  std::optional<Pipeline> parse(std::string_view text, config::Problems& problems) const;

  /// What of a file can be understood whatever is wrong with it: for further checks, not to be run. Stages of unknown plugins
  /// are there, with none. Nothing if it is not YAML.
  std::optional<Pipeline> examine(config::Problems& problems) const;

 private:
  std::optional<Pipeline> examine(std::string_view text, config::Problems& problems) const;

  std::vector<Plugin> plugins_;
  config::Environment environment_;
  ListenCheck listen_check_;
};

/// All pipeline files of a path: the file itself, or a folder's *.yaml and *.yml, sorted. Problems are reported as such.
std::vector<std::filesystem::path> pipeline_files(const std::filesystem::path& path);

}  // namespace millrace::graph
