#include "runner/graph/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "runner/config/confidential.h"
#include "runner/config/plugin.h"
#include "runner/config/text_file.h"
#include "runner/graph/fingerprint.h"

namespace millrace::graph {
namespace {

bool is_address(std::string_view text) { return text.starts_with("ipc://") || text.starts_with("tcp://"); }

/// A stage as the file has it, before the wiring is resolved.
struct Draft {
  StageKeys keys;
  const config::Node* node = nullptr;
  Stage stage;
  std::vector<std::string> from;
};

const config::Position& place_of(const config::Node& node, std::string_view key) {
  const config::Node* found = node.find(key);
  return found ? found->position : node.position;
}

config::Node text_node(std::string text, config::Position at) {
  config::Node node;
  node.kind = config::Node::Kind::scalar;
  node.text = std::move(text);
  node.position = at;
  return node;
}

/// Makes a checked pipeline of a parsed file, step by step; each step reports all that is wrong in its own matters.
class Checker {
 public:
  Checker(const Loader& loader, config::Problems& problems) : loader_(loader), problems_(problems) {}

  Pipeline run(const config::Node& root) {
    PipelineKeys keys;
    config::declaration_of<PipelineKeys>()->read(root, keys, "", problems_);
    pipeline_.file = problems_.file();
    pipeline_.name = keys.name.empty() ? problems_.file().stem().string() : keys.name;
    pipeline_.name_position = place_of(root, "name");
    pipeline_.listen = keys.listen;
    pipeline_.record = keys.record;
    pipeline_.serves = root.find("listen") != nullptr;
    check_name(root);
    check_listen(root);
    for (const config::Node& node : keys.stages) add(node);
    if (keys.stages.empty() && root.find("stages"))
      problems_.add(place_of(root, "stages"), "a pipeline needs at least one stage");
    read_tests(keys.tests);
    give_ids();
    add_remote_ends();
    resolve();
    for (const Draft& draft : drafts_) pipeline_.serves |= draft.stage.plugin && draft.stage.plugin->serves;
    pipeline_.inputs = problems_.inputs();
    std::sort(pipeline_.inputs.begin(), pipeline_.inputs.end());
    pipeline_.inputs.erase(std::unique(pipeline_.inputs.begin(), pipeline_.inputs.end()), pipeline_.inputs.end());
    sort();
    return std::move(pipeline_);
  }

 private:
  // Names become parts of file names and metrics' labels.
  static bool plain(std::string_view name) {
    return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '-' || c == '_' || c == '.';
    }) && name.front() != '.';
  }

  void check_name(const config::Node& root) {
    if (!plain(pipeline_.name))
      problems_.add(place_of(root, "name"),
                    fmt::format("'{}' is not a name: letters, digits, '-', '_' and '.'", pipeline_.name));
  }

  /// Options that could not be read have their defaults, with which nothing is wrong.
  void check_listen(const config::Node& root) {
    if (!loader_.listen_check()) return;
    // Read again for itself: what is well of a broken `listen` is looked at too.
    Listen listen;
    config::Problems told{problems_.file()};
    if (const config::Node* node = root.find("listen")) config::declaration_of<Listen>()->read(*node, listen, "listen", told);
    for (ListenProblem& problem : loader_.listen_check()(listen))
      problems_.add(root.along({"listen", problem.option, problem.within}).position, std::move(problem.what));
  }

  void add(const config::Node& node) {
    Draft draft;
    draft.node = &node;
    if (!node.is_map()) {
      problems_.add(node.position, "expected a stage, which is a map, got " + node.shown());
      return;
    }
    config::Node own = node;
    std::erase_if(own.entries, [](const config::Entry& e) { return !is_stage_key(e.key); });
    config::declaration_of<StageKeys>()->read(own, draft.keys, "stage", problems_);
    draft.stage.plugin = loader_.find(draft.keys.plugin);
    if (!draft.stage.plugin) {
      if (!draft.keys.plugin.empty()) unknown_plugin(node, draft.keys.plugin);
    } else {
      configure(draft);
    }
    if (draft.keys.spool && draft.keys.on_full != Overflow::spool)
      problems_.add(place_of(node, "spool"), "'spool' says how 'on_full: spool' keeps what waits; here on_full is another");
    draft.from = draft.keys.from;
    // A broken stage still takes part in the wiring, so that one mistake is not reported as several.
    draft.stage.id = draft.keys.id;
    for (const char* key : {"id", "from"})
      if (const config::Node* named = node.find(key)) ids_known_ &= !has_unknown(*named);
    drafts_.push_back(std::move(draft));
  }

  static bool has_unknown(const config::Node& node) {
    return node.unknown || std::any_of(node.items.begin(), node.items.end(), has_unknown);
  }

  static bool is_stage_key(const std::string& key) {
    const auto& keys = config::stage_keys();
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  }

  void unknown_plugin(const config::Node& node, const std::string& name) {
    std::vector<std::string> known;
    for (const Plugin& p : loader_.plugins()) known.push_back(p.name);
    problems_.add(place_of(node, "plugin"), fmt::format("unknown plugin '{}'{}", name, config::did_you_mean(name, known)));
  }

  void configure(Draft& draft) {
    std::size_t inputs_before = problems_.inputs().size();
    const Plugin& plugin = *draft.stage.plugin;
    draft.stage.make = plugin.parse(*draft.node, problems_);
    draft.stage.on_full = draft.keys.on_full.value_or(plugin.on_full);
    draft.stage.queue = draft.keys.queue;
    draft.stage.spool = draft.keys.spool.value_or(Spool{});
    draft.stage.threading = draft.keys.thread.value_or(plugin.threading);
    std::vector<std::filesystem::path> inputs(problems_.inputs().begin() + static_cast<std::ptrdiff_t>(inputs_before),
                                              problems_.inputs().end());
    draft.stage.fingerprint = fingerprint(*draft.node, inputs);
    if (plugin.threading == Threading::own && draft.keys.thread == Threading::shared)
      problems_.add(place_of(*draft.node, "thread"),
                    fmt::format("{} waits for the outside and needs a thread of its own", plugin.name));
  }

  void read_tests(const std::vector<config::Node>& nodes) {
    for (const config::Node& node : nodes) {
      TestCase test;
      test.position = node.position;
      config::declaration_of<TestCase>()->read(node, test, "test", problems_);
      pipeline_.tests.push_back(std::move(test));
    }
  }

  void give_ids() {
    std::map<std::string, const Draft*> seen;
    for (Draft& draft : drafts_) {
      if (draft.stage.id.empty()) draft.stage.id = draft.keys.plugin;
      if (draft.stage.id.empty()) continue;
      if (!plain(draft.stage.id))
        problems_.add(place_of(*draft.node, "id"),
                      fmt::format("'{}' is not an id: letters, digits, '-', '_' and '.'", draft.stage.id));
      auto [other, fresh] = seen.emplace(draft.stage.id, &draft);
      if (fresh || !ids_known_) continue;
      problems_.add(place_of(*draft.node, "id"),
                    fmt::format("a second stage '{}', first at line {}; give it an 'id' of its own", draft.stage.id,
                                other->second->node->position.line));
    }
  }

  /// `publish: ADDR` becomes a sink below the stage, an address in `from` a source above it.
  void add_remote_ends() {
    std::vector<Draft> all;
    std::string above;
    for (Draft& draft : drafts_) {
      if (draft.from.empty() && !above.empty() && !is(draft, Role::source)) draft.from = {above};
      above = draft.stage.id;
      std::vector<Draft> after;
      for (std::size_t k = 0; k < draft.from.size(); ++k) {
        if (!is_address(draft.from[k])) continue;
        Draft source = remote_end(draft, subscriber_plugin, draft.from[k], place_of(*draft.node, "from"));
        source.stage.id = fmt::format("{}.from.{}", draft.stage.id, k + 1);
        draft.from[k] = source.stage.id;
        all.push_back(std::move(source));
      }
      if (!draft.keys.publish.empty()) {
        if (!is_address(draft.keys.publish))
          problems_.add(place_of(*draft.node, "publish"), "'publish': expected an ipc:// or tcp:// address");
        if (is(draft, Role::sink))
          problems_.add(place_of(*draft.node, "publish"), "a sink emits nothing that could be published");
        Draft sink = remote_end(draft, publisher_plugin, draft.keys.publish, place_of(*draft.node, "publish"));
        sink.stage.id = draft.stage.id + ".publish";
        sink.from = {draft.stage.id};
        after.push_back(std::move(sink));
      }
      all.push_back(std::move(draft));
      for (Draft& sink : after) all.push_back(std::move(sink));
    }
    drafts_ = std::move(all);
  }

  Draft remote_end(const Draft& beside, std::string_view plugin, const std::string& address, config::Position at) {
    Draft draft;
    draft.node = beside.node;
    draft.keys.plugin = plugin;
    draft.stage.plugin = loader_.find(plugin);
    if (!draft.stage.plugin) {
      problems_.add(at, "links to other processes are not available here");
      return draft;
    }
    config::Node node;
    node.kind = config::Node::Kind::map;
    node.position = at;
    node.entries.push_back({"address", at, text_node(address, at)});
    add_keys(beside, plugin == graph::publisher_plugin ? "reader" : "publisher", node);
    draft.stage.make = draft.stage.plugin->parse(node, problems_);
    draft.stage.threading = draft.stage.plugin->threading;
    draft.stage.fingerprint = fingerprint(node, {});
    return draft;
  }

  /// The keys stand beside the address, as written, so that a secret stays one.
  static void add_keys(const Draft& beside, std::string_view peer, config::Node& node) {
    const config::Node* curve = beside.keys.curve ? beside.node->find("curve") : nullptr;
    if (!curve) return;
    for (const config::Entry& entry : curve->entries) {
      if (entry.key == "secret") node.entries.push_back(entry);
      if (entry.key == peer) node.entries.push_back({"peer", entry.position, entry.value});
    }
  }

  static bool is(const Draft& draft, Role role) { return draft.stage.plugin && draft.stage.plugin->role == role; }

  void resolve() {
    std::map<std::string, std::size_t> index;
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < drafts_.size(); ++i) {
      index.emplace(drafts_[i].stage.id, i);
      ids.push_back(drafts_[i].stage.id);
    }
    for (Draft& draft : drafts_) {
      config::Position at = place_of(*draft.node, "from");
      if (is(draft, Role::source)) {
        if (!draft.from.empty()) problems_.add(at, fmt::format("'{}' is a source and reads from nobody", draft.stage.id));
        continue;
      }
      if (draft.from.empty() && draft.stage.plugin)
        problems_.add(draft.node->position,
                      fmt::format("'{}' has nothing to read from: there is no stage above it", draft.stage.id));
      for (std::size_t k = 0; k < draft.from.size(); ++k) {
        const std::string& name = draft.from[k];
        at = draft.node->along({"from", std::to_string(k)}).position;
        auto found = index.find(name);
        if (found == index.end()) {
          if (!ids_known_) continue;
          problems_.add(at, fmt::format("'from' names '{}', which is no stage{}", name, config::did_you_mean(name, ids)));
          continue;
        }
        if (is(drafts_[found->second], Role::sink))
          problems_.add(
              at, fmt::format("'{}' reads from '{}', which is a sink and emits nothing; say 'from'", draft.stage.id, name));
        if (std::find(draft.stage.from.begin(), draft.stage.from.end(), found->second) != draft.stage.from.end())
          problems_.add(at, fmt::format("'from' names '{}' twice", name));
        draft.stage.from.push_back(found->second);
      }
    }
    if (!ids_known_) return;
    for (std::size_t i = 0; i < drafts_.size(); ++i) check_read(i);
  }

  void check_read(std::size_t i) {
    if (!is(drafts_[i], Role::source)) return;
    for (const Draft& draft : drafts_)
      if (std::find(draft.stage.from.begin(), draft.stage.from.end(), i) != draft.stage.from.end()) return;
    problems_.add(drafts_[i].node->position, fmt::format("nobody reads from '{}'", drafts_[i].stage.id));
  }

  /// `way` leads from a stage up to the one that reads from `first` again.
  void report_circle(std::size_t first, const std::vector<std::size_t>& way) {
    std::string circle = drafts_[first].stage.id;
    for (auto at = std::find(way.begin(), way.end(), first) + 1; at < way.end(); ++at)
      circle += " from " + drafts_[*at].stage.id;
    problems_.add(place_of(*drafts_[first].node, "from"),
                  fmt::format("'{}' reads, by a circle, from itself: {} from {}", drafts_[first].stage.id, circle,
                              drafts_[first].stage.id));
  }

  /// Depth first, so that records flow only forward and a stage stands right below what feeds it.
  void sort() {
    enum class Mark { fresh, open, done };
    std::vector<Mark> marks(drafts_.size(), Mark::fresh);
    std::vector<std::size_t> order, way;
    std::function<void(std::size_t)> visit = [&](std::size_t i) {
      if (marks[i] == Mark::done) return;
      if (marks[i] == Mark::open) return report_circle(i, way);
      marks[i] = Mark::open;
      way.push_back(i);
      for (std::size_t above : drafts_[i].stage.from) visit(above);
      way.pop_back();
      marks[i] = Mark::done;
      order.push_back(i);
    };
    for (std::size_t i = 0; i < drafts_.size(); ++i) visit(i);
    std::vector<std::size_t> position(drafts_.size());
    for (std::size_t i = 0; i < order.size(); ++i) position[order[i]] = i;
    for (std::size_t i : order) {
      for (std::size_t& above : drafts_[i].stage.from) above = position[above];
      drafts_[i].stage.position = drafts_[i].node->position;
      drafts_[i].stage.node = *drafts_[i].node;
      pipeline_.stages.push_back(std::move(drafts_[i].stage));
    }
  }

  const Loader& loader_;
  config::Problems& problems_;
  Pipeline pipeline_;
  std::vector<Draft> drafts_;
  bool ids_known_ = true;  ///< no `id` and no `from` is a variable without a value: what seems to be missing may be there
};

}  // namespace

std::vector<std::size_t> Pipeline::readers_of(std::size_t stage) const {
  std::vector<std::size_t> readers;
  for (std::size_t i = 0; i < stages.size(); ++i)
    if (std::find(stages[i].from.begin(), stages[i].from.end(), stage) != stages[i].from.end()) readers.push_back(i);
  return readers;
}

Loader::Loader(std::vector<Plugin> plugins, config::Environment environment, ListenCheck listen_check)
    : plugins_(std::move(plugins)), environment_(std::move(environment)), listen_check_(std::move(listen_check)) {}

const Plugin* Loader::find(std::string_view name) const {
  auto found = std::find_if(plugins_.begin(), plugins_.end(), [&](const Plugin& p) { return p.name == name; });
  return found == plugins_.end() ? nullptr : &*found;
}

std::optional<Pipeline> Loader::load(config::Problems& problems) const {
  std::optional<Pipeline> read = examine(problems);
  if (!problems.empty()) return std::nullopt;
  return read;
}

std::optional<Pipeline> Loader::parse(std::string_view text, config::Problems& problems) const {
  std::optional<Pipeline> read = examine(text, problems);
  if (!problems.empty()) return std::nullopt;
  return read;
}

std::optional<Pipeline> Loader::examine(config::Problems& problems) const {
  Result<std::string> text = config::read_text_file(problems.file(), config::YamlLimits{}.bytes);
  if (text) return examine(*text, problems);
  problems.add({}, "cannot read the file: " + text.error().what);
  return std::nullopt;
}

std::optional<Pipeline> Loader::examine(std::string_view text, config::Problems& problems) const {
  std::optional<config::Node> root = config::parse_yaml(text, problems);
  if (!root) return std::nullopt;
  config::substitute(*root, environment_, problems);
  Pipeline examined = Checker(*this, problems).run(*root);
  config::hide_confidential(*root, problems);
  return examined;
}

std::vector<std::filesystem::path> pipeline_files(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return {path};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path, error))
    if (entry.path().extension() == ".yaml" || entry.path().extension() == ".yml") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace millrace::graph
