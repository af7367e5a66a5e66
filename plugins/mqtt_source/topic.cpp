#include "plugins/mqtt_source/topic.h"

#include <fmt/core.h>

#include <algorithm>

namespace millrace::mqtt_source {
namespace {

/// Calls `f(level, is_last)` for each level, until it says false.
template <class F>
void each_level(std::string_view topic, F&& f) {
  for (;;) {
    std::size_t end = topic.find('/');
    bool last = end == std::string_view::npos;
    if (!f(topic.substr(0, end), last) || last) return;
    topic.remove_prefix(end + 1);
  }
}

}  // namespace

std::string problem_of_filter(std::string_view filter) {
  constexpr std::string_view share = "$share/";
  std::string_view rest = filter;
  if (rest.starts_with(share)) {
    rest.remove_prefix(share.size());
    std::size_t group = rest.find('/');
    if (group == std::string_view::npos || group == 0 || rest.substr(0, group).find_first_of("+#") != std::string_view::npos)
      return fmt::format("topic '{}' is no shared subscription: expected $share/GROUP/FILTER", filter);
    rest.remove_prefix(group + 1);
  }
  if (rest.empty()) return fmt::format("topic '{}' is empty", filter);
  if (rest.size() > 65535 || rest.find('\0') != std::string_view::npos) return "a topic is too long or holds a zero byte";
  std::string problem;
  each_level(rest, [&](std::string_view level, bool last) {
    if (level == "#" && !last) problem = fmt::format("topic '{}': '#' must be the last level", filter);
    if (level.size() > 1 && level.find_first_of("+#") != std::string_view::npos)
      problem = fmt::format("topic '{}': '+' and '#' must fill a level of their own", filter);
    return problem.empty();
  });
  return problem;
}

Result<TopicTemplate> TopicTemplate::parse(std::string_view text) {
  TopicTemplate made;
  std::string problem;
  each_level(text, [&](std::string_view level, bool last) {
    if (level == "#" && !last) {
      problem = "'#' must be the last level";
    } else if (level == "#") {
      made.levels_.push_back({Level::Kind::rest, {}});
    } else if (level == "+") {
      made.levels_.push_back({Level::Kind::any, {}});
    } else if (level.size() > 2 && level.front() == '{' && level.back() == '}') {
      std::string name(level.substr(1, level.size() - 2));
      bool twice = std::any_of(made.levels_.begin(), made.levels_.end(),
                               [&](const Level& l) { return l.kind == Level::Kind::name && l.text == name; });
      if (twice) problem = fmt::format("'{{{}}}' is there twice", name);
      made.levels_.push_back({Level::Kind::name, std::move(name)});
    } else if (level.find_first_of("+#{}") != std::string_view::npos) {
      problem = fmt::format("'{}' must be a text, {{name}}, + or #", level);
    } else {
      made.levels_.push_back({Level::Kind::text, std::string(level)});
    }
    return problem.empty();
  });
  auto names_device = [](const Level& l) { return l.kind == Level::Kind::name && l.text == "device"; };
  if (problem.empty() && std::none_of(made.levels_.begin(), made.levels_.end(), names_device)) problem = "no level is {device}";
  if (!problem.empty()) return invalid(fmt::format("topic template '{}': {}", text, problem));
  return made;
}

std::string_view TopicTemplate::match(std::string_view topic,
                                      std::vector<std::pair<std::string_view, std::string_view>>& others) const {
  others.clear();
  std::string_view device;
  std::size_t at = 0;
  bool matches = true;
  each_level(topic, [&](std::string_view level, bool) {
    if (at == levels_.size()) {
      matches = false;
      return false;
    }
    const Level& expected = levels_[at];
    if (expected.kind == Level::Kind::rest) {
      at = levels_.size();
      return false;
    }
    if (expected.kind == Level::Kind::text && level != expected.text) matches = false;
    if (expected.kind == Level::Kind::name) {
      if (expected.text == "device")
        device = level;
      else
        others.emplace_back(expected.text, level);
    }
    ++at;
    return matches;
  });
  if (at < levels_.size() && levels_[at].kind == Level::Kind::rest) at = levels_.size();
  if (matches && at == levels_.size()) return device;
  others.clear();
  return {};
}

}  // namespace millrace::mqtt_source
