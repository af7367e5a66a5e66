#include "runner/config/node.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "runner/config/text_file.h"
#include "runner/stage/printable.h"

namespace millrace::config {

const Node* Node::find(std::string_view key) const {
  for (const Entry& entry : entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

const Node& Node::along(std::initializer_list<std::string_view> path) const {
  const Node* at = this;
  for (std::string_view step : path) {
    const Node* next = at->find(step);
    std::size_t item = 0;
    auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), item);
    if (!next && error == std::errc{} && item < at->items.size()) next = &at->items[item];
    if (!next) break;
    at = next;
  }
  return *at;
}

std::string Node::shown() const {
  constexpr std::size_t longest = 60;
  switch (kind) {
    case Kind::null: return "nothing";
    case Kind::list: return "a list";
    case Kind::map: return "a map";
    case Kind::scalar: break;
  }
  if (confidential) return "a secret";
  return "'" + (text.size() > longest ? text.substr(0, longest) + "..." : text) + "'";
}

std::string Problem::text() const {
  std::string place = file;
  if (position.line > 0) place += ":" + std::to_string(position.line) + ":" + std::to_string(position.column);
  return printable_lines(place + ": " + what);
}

std::vector<Problem> Problems::in_order() const {
  std::vector<Problem> sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.position.line, a.position.column) < std::pair(b.position.line, b.position.column);
  });
  return sorted;
}

void Problems::add(Position at, std::string what) { problems_.push_back({file_.string(), at, std::move(what)}); }

std::filesystem::path Problems::resolve(std::string_view path) const {
  std::filesystem::path given(path);
  return given.is_absolute() ? given : (file_.parent_path() / given).lexically_normal();
}

bool Problems::read(std::string_view path, Position at, std::string& text) {
  std::filesystem::path resolved = resolve(path);
  inputs_.push_back(resolved);  // also where it is missing: it may come
  Result<std::string> read = read_text_file(resolved);
  if (!read) {
    add(at, "cannot read the file '" + resolved.string() + "': " + read.error().what);
    return false;
  }
  text = std::move(*read);
  return true;
}

namespace {

/// Edits between two words: insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t replaced = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

const std::string* closest(std::string_view written, const std::vector<std::string>& known) {
  constexpr std::size_t longest = 40;
  if (written.size() > longest) return nullptr;
  std::size_t best = std::max<std::size_t>(1, written.size() / 3) + 1;
  const std::string* found = nullptr;
  for (const std::string& name : known) {
    if (name.size() > longest) continue;
    std::size_t edits = distance(written, name);
    if (edits >= best) continue;
    best = edits;
    found = &name;
  }
  return found;
}

std::string did_you_mean(std::string_view written, const std::vector<std::string>& known) {
  const std::string* name = closest(written, known);
  return name ? "; did you mean '" + *name + "'?" : std::string{};
}

}  // namespace millrace::config
