#include "runner/config/confidential.h"

#include <algorithm>
#include <utility>

namespace millrace::config {
namespace {

void collect(const Node& node, std::vector<std::string>& texts) {
  if (node.is_scalar() && node.confidential && !node.text.empty()) texts.push_back(node.text);
  for (const Node& item : node.items) collect(item, texts);
  for (const Entry& entry : node.entries) collect(entry.value, texts);
}

std::string without(std::string what, const std::vector<std::string>& texts) {
  constexpr std::string_view instead = "a secret";
  for (const std::string& text : texts)
    for (std::size_t at = what.find(text); at != std::string::npos; at = what.find(text, at + instead.size()))
      what.replace(at, text.size(), instead);
  return what;
}

}  // namespace

void hide_confidential(const Node& root, Problems& problems) {
  std::vector<std::string> texts;
  collect(root, texts);
  if (texts.empty() || problems.empty()) return;
  // The longest first: one may hold another.
  std::sort(texts.begin(), texts.end(), [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  Problems told(problems.file());
  for (const Problem& problem : problems.list()) told.add(problem.position, without(problem.what, texts));
  std::error_code error;
  for (const auto& input : problems.inputs()) told.watch(std::filesystem::absolute(input, error).string());
  problems = std::move(told);
}

}  // namespace millrace::config
