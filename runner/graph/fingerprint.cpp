#include "runner/graph/fingerprint.h"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include "runner/config/text_file.h"

namespace millrace::graph {
namespace {

constexpr std::array<std::string_view, 6> wiring{"from", "on_full", "queue", "spool", "publish", "curve"};

std::string hashed(std::string_view text) { return std::to_string(std::hash<std::string_view>{}(text)); }

// Lengths stand before texts, so that no two different trees have the same form.
void append(std::string& out, const config::Node& node, bool top) {
  switch (node.kind) {
    case config::Node::Kind::null: out += "~"; return;
    case config::Node::Kind::scalar:
      out += node.confidential ? "#" + hashed(node.text)
                               : (node.quoted ? "'" : "=") + std::to_string(node.text.size()) + ":" + node.text;
      return;
    case config::Node::Kind::list:
      out += "[";
      for (const config::Node& item : node.items) append(out, item, false);
      out += "]";
      return;
    case config::Node::Kind::map: {
      std::vector<const config::Entry*> entries;
      for (const config::Entry& e : node.entries)
        if (!top || std::find(wiring.begin(), wiring.end(), e.key) == wiring.end()) entries.push_back(&e);
      // At the top the order of options means nothing; below it may (an alert's rules, a map of levels).
      if (top) std::sort(entries.begin(), entries.end(), [](auto* a, auto* b) { return a->key < b->key; });
      out += "{";
      for (const config::Entry* e : entries) {
        out += std::to_string(e->key.size()) + ":" + e->key;
        append(out, e->value, false);
      }
      out += "}";
    }
  }
}

}  // namespace

std::string fingerprint(const config::Node& stage, const std::vector<std::filesystem::path>& inputs) {
  std::string out;
  append(out, stage, true);
  for (const auto& path : inputs) {
    Result<std::string> text = config::read_text_file(path);
    out += path.string() + "#" + (text ? hashed(*text) : text.error().what);
  }
  return out;
}

}  // namespace millrace::graph
