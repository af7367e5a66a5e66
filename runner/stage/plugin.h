#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runner/stage/context.h"
#include "runner/stage/stage.h"

namespace millrace {

namespace config {
class Declaration;
class Node;
class Problems;
}  // namespace config

using AnyStage = std::variant<std::unique_ptr<Source>, std::unique_ptr<Transform>, std::unique_ptr<Sink>>;

enum class Role { source, transform, sink };

enum class Threading {
  shared,  ///< never waits: runs on its pipeline's thread
  own,     ///< waits for the network, a disk or a library: a thread of its own
};

/// What a link does when it is full.
enum class Overflow {
  block,        ///< park the stage above and pause the sources
  drop_oldest,  ///< drop the oldest batch, counted
  drop_newest,  ///< drop the batch that comes, counted
  newest,       ///< replace older telemetry of the same series; never touches an alert
  spool,        ///< keep on disk, in order
};

/// One plugin as the runner knows it; plugins/<name>/plugin.cpp returns it from `<name>_plugin()`, built with
/// config::define_plugin (runner/config/plugin.h).
struct Plugin {
  std::string name;
  std::string summary;  ///< one sentence
  Role role = Role::transform;
  Threading threading = Threading::shared;
  Overflow on_full = Overflow::block;  ///< default of its input link
  bool tells_people = false;           ///< takes notifications, where all other stages take transitions
  bool keeps_alerts = false;           ///< its stage is an AlertDesk and a SilenceDesk
  bool serves = false;                 ///< needs the pipeline's listener: gets http::Routes

  /// Its options, declared once.
  std::shared_ptr<const config::Declaration> options;

  /// Parses the options from a stage's YAML, adding what is wrong to the problems, and returns the constructor, or nothing if
  /// there were problems.
  std::function<std::function<AnyStage(Context)>(const config::Node&, config::Problems&)> parse;
};

/// Every plugin in plugins/, from the list that the build makes of its folders.
std::vector<Plugin> all_plugins();

}  // namespace millrace
