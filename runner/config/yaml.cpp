#include "runner/config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <sstream>
#include <unordered_map>

#include "runner/config/text_places.h"
#include "runner/config/yaml_trouble.h"
#include "runner/stage/printable.h"

namespace millrace::config {
namespace {

/// Of the byte `at` of the whole text.
Position place_of(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  const std::size_t line_start = before.rfind('\n') + 1;  // 0 where there is none
  return TextPlaces(text).of(static_cast<int>(std::count(before.begin(), before.end(), '\n')),
                             static_cast<int>(at - line_start));
}

const std::string not_yaml = "not valid YAML: ";

/// Thrown out of the parser's callbacks, which offer no other way to stop.
struct Refused {
  Position at;
  std::string what;
};

/// Builds Nodes from the parser's events. Events, unlike yaml-cpp's own nodes, still tell duplicate keys and the place of an
/// alias.
class Builder final : public YAML::EventHandler {
 public:
  Builder(std::string_view text, Problems& problems, YamlLimits limits) : problems_(problems), limits_(limits), places_(text) {}

  std::optional<Node> take() { return std::move(root_); }
  const YAML::Mark& last_scalar() const { return last_scalar_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(node_at(Node::Kind::null, mark), anchor); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    last_scalar_ = mark;
    // yaml-cpp gives a plain scalar the tag "?", a quoted or block one "!".
    bool plain = tag == "?";
    bool null = plain && (value.empty() || value == "~" || value == "null" || value == "Null" || value == "NULL");
    Node node = node_at(null ? Node::Kind::null : Node::Kind::scalar, mark);
    if (!null) node.text = value;
    node.quoted = !plain;
    if (open_.empty() || !open_.back().expects_key()) return add(std::move(node), anchor);
    node.kind = Node::Kind::scalar;
    node.text = value;
    add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refused{place(mark), "an alias of something that contains it"};
    count(found->second.nodes, place(mark));
    if (open_.size() + found->second.depth > limits_.depth) too_deep(place(mark));
    Node node = found->second.node;
    move_to(node, place(mark));
    attach(std::move(node), found->second.depth);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    begin(Node::Kind::list, mark, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    begin(Node::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Open {
    Node node;
    YAML::anchor_t anchor;
    std::size_t nodes_before;
    std::size_t depth = 1;  ///< levels in it so far, itself included
    std::optional<Node> key;
    std::unordered_map<std::string, std::size_t> keys;  ///< of a map: where each stands among its entries
    bool expects_key() const { return node.is_map() && !key; }
  };
  struct Anchored {
    Node node;
    std::size_t nodes;
    std::size_t depth;
  };

  Position place(const YAML::Mark& mark) { return places_.of(mark.line, mark.column); }

  Node node_at(Node::Kind kind, const YAML::Mark& mark) {
    Node node;
    node.kind = kind;
    node.position = place(mark);
    return node;
  }

  void count(std::size_t nodes, Position at) {
    nodes_ += nodes;
    if (nodes_ > limits_.nodes)
      throw Refused{at, "more than " + std::to_string(limits_.nodes) + " nodes, with every alias expanded"};
  }

  [[noreturn]] void too_deep(Position at) const {
    throw Refused{at, "nested deeper than " + std::to_string(limits_.depth) + " levels"};
  }

  void add(Node node, YAML::anchor_t anchor) {
    count(1, node.position);
    if (anchor) anchors_[anchor] = {node, 1, 1};
    attach(std::move(node), 1);
  }

  void begin(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    std::size_t before = nodes_;
    count(1, place(mark));
    if (open_.size() + 1 > limits_.depth) too_deep(place(mark));
    open_.push_back({node_at(kind, mark), anchor, before, 1, std::nullopt, {}});
  }

  void end() {
    Open done = std::move(open_.back());
    open_.pop_back();
    if (done.anchor) anchors_[done.anchor] = {done.node, nodes_ - done.nodes_before, done.depth};
    attach(std::move(done.node), done.depth);
  }

  void attach(Node node, std::size_t depth) {
    if (open_.empty()) {
      if (root_) throw Refused{node.position, "a second document; a pipeline file holds one"};
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    parent.depth = std::max(parent.depth, depth + 1);
    if (parent.node.is_list()) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    if (!parent.key) {
      parent.key = std::move(node);
      return;
    }
    Node key = *std::exchange(parent.key, std::nullopt);
    if (!key.is_scalar()) throw Refused{key.position, "a key must be a plain text"};
    // A value that is not there is reported by yaml-cpp where the next thing begins.
    if (node.kind == Node::Kind::null && node.position.line != key.position.line) node.position = key.position;
    if (key.text == "<<" && !key.quoted) return merge(parent, key, std::move(node));
    auto [known, fresh] = parent.keys.try_emplace(key.text, parent.node.entries.size());
    if (!fresh) {
      Entry& entry = parent.node.entries[known->second];
      if (entry.position.line != 0) {
        problems_.add(key.position, "duplicate key '" + key.text + "', first at line " + std::to_string(entry.position.line));
        return;
      }
      // It came by a merge key: what stands here wins.
      entry.position = key.position;
      entry.value = std::move(node);
      return;
    }
    parent.node.entries.push_back({key.text, key.position, std::move(node)});
  }

  /// Merged entries are marked by line 0 until the map ends, so that the map's own win over them.
  void merge(Open& into, const Node& key, Node from) {
    if (from.is_map()) {
      for (Entry& entry : from.entries)
        if (into.keys.try_emplace(entry.key, into.node.entries.size()).second)
          into.node.entries.push_back({entry.key, {}, std::move(entry.value)});
      return;
    }
    if (!from.is_list()) throw Refused{key.position, "a merge key needs a map or a list of maps, not " + from.shown()};
    for (Node& item : from.items) {
      if (!item.is_map()) throw Refused{key.position, "a merge key needs a map or a list of maps, not " + item.shown()};
      merge(into, key, std::move(item));
    }
  }

  static void move_to(Node& node, Position at) {
    node.position = at;
    for (Node& item : node.items) move_to(item, at);
    for (Entry& entry : node.entries) {
      entry.position = at;
      move_to(entry.value, at);
    }
  }

  Problems& problems_;
  YamlLimits limits_;
  TextPlaces places_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::optional<Node> root_;
  std::size_t nodes_ = 0;
  YAML::Mark last_scalar_;
};

}  // namespace

std::optional<Node> parse_yaml(std::string_view text, Problems& problems, YamlLimits limits) {
  if (text.size() > limits.bytes) {
    problems.add({1, 1}, "the file is larger than " + std::to_string(limits.bytes) + " bytes");
    return std::nullopt;
  }
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  if (std::size_t well = utf8_prefix(text); well < text.size()) {
    problems.add(place_of(text, well), "not UTF-8: a YAML file is text, and this byte is none");
    return std::nullopt;
  }
  std::istringstream in{std::string(text)};
  Builder builder(text, problems, limits);
  try {
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
    const YAML::Mark& last = builder.last_scalar();
    if (auto trouble = open_quote(text, last.line, last.column)) throw Refused{trouble->at, not_yaml + trouble->what};
  } catch (const YAML::Exception& e) {
    YamlTrouble trouble = trouble_of(text, e);
    problems.add(trouble.at, not_yaml + trouble.what);
    return std::nullopt;
  } catch (const Refused& refused) {
    problems.add(refused.at, refused.what);
    return std::nullopt;
  }
  std::optional<Node> root = builder.take();
  if (!root) problems.add({1, 1}, "the file is empty");
  return root;
}

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

namespace {

std::string without_last_newline(std::string text) {
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty() && text.back() == '\r') text.pop_back();
  return text;
}

class Substitution {
 public:
  Substitution(const Environment& environment, Problems& problems) : environment_(environment), problems_(problems) {}

  void apply(Node& node) {
    for (Node& item : node.items) apply(item);
    for (Entry& entry : node.entries) apply(entry.value);
    if (node.is_scalar() && node.text.find("${") != std::string::npos) replace(node);
  }

 private:
  void replace(Node& node) {
    std::string out;
    const std::string in = node.text;
    std::size_t at = 0;
    while (at < in.size()) {
      std::size_t dollar = in.find("${", at);
      if (dollar == std::string::npos) break;
      if (dollar > 0 && in[dollar - 1] == '$') {
        out.append(in, at, dollar - 1 - at).append("${");
        at = dollar + 2;
        continue;
      }
      std::size_t close = in.find('}', dollar);
      if (close == std::string::npos) {
        failed(node, "a variable that does not end: '${' without '}'");
        return;
      }
      out.append(in, at, dollar - at);
      out += look_up(in.substr(dollar + 2, close - dollar - 2), node);
      node.substituted = true;
      at = close + 1;
    }
    node.text = out.append(in, at, std::string::npos);
  }

  std::string look_up(const std::string& expression, Node& node) {
    if (expression.starts_with("file:")) return read(expression.substr(5), node);
    if (expression.starts_with("cred:")) {
      std::optional<std::string> folder = environment_("CREDENTIALS_DIRECTORY");
      if (folder) return read((std::filesystem::path(*folder) / expression.substr(5)).string(), node);
      return failed(node, "${" + expression + "} needs systemd's credentials, and $CREDENTIALS_DIRECTORY is not set");
    }
    std::size_t split = expression.find(":-");
    std::string name = expression.substr(0, split);
    if (name.empty() ||
        name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
      return failed(node, "'${" + expression + "}' is not a variable; write '$${' for a plain '${'");
    }
    std::optional<std::string> value = environment_(name);
    if (value && !value->empty()) return *value;
    if (split != std::string::npos) return expression.substr(split + 2);
    if (value) return {};
    return failed(node, "the variable " + name + " is not set; '${" + name + ":-...}' gives a default");
  }

  std::string failed(Node& node, std::string what) {
    node.unknown = true;
    problems_.add(node.position, std::move(what));
    return {};
  }

  std::string read(const std::string& path, Node& node) {
    std::string text;
    node.confidential = true;
    if (!problems_.read(path, node.position, text)) node.unknown = true;
    return without_last_newline(std::move(text));
  }

  const Environment& environment_;
  Problems& problems_;
};

}  // namespace

void substitute(Node& node, const Environment& environment, Problems& problems) {
  Substitution(environment, problems).apply(node);
}

}  // namespace millrace::config
