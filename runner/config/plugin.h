#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runner/config/fields.h"
#include "runner/stage/alert_desk.h"
#include "runner/stage/plugin.h"

namespace millrace::config {

/// Keys that every stage has, whatever its plugin; the graph reads them.
const std::vector<std::string>& stage_keys();

template <class S>
constexpr Role role_of() {
  if constexpr (std::derived_from<S, Source>) return Role::source;
  if constexpr (std::derived_from<S, Transform>) return Role::transform;
  if constexpr (std::derived_from<S, Sink>) return Role::sink;
}

/// A plugin from its stage class S, which is a Source, Transform or Sink with a nested, described `Config` and a constructor
/// `S(Config, Context)`. Further members of Plugin (threading, on_full, tells_people) may be set on what is returned.
template <class S>
Plugin define_plugin(std::string name, std::string summary) {
  Plugin plugin;
  plugin.name = std::move(name);
  plugin.summary = std::move(summary);
  plugin.role = role_of<S>();
  plugin.keeps_alerts = std::derived_from<S, AlertDesk>;
  plugin.options = declaration_of<typename S::Config>();
  plugin.parse = [](const Node& node, Problems& problems) -> std::function<AnyStage(Context)> {
    auto options = std::make_shared<typename S::Config>();
    if (!declaration_of<typename S::Config>()->read(node, *options, "", problems, stage_keys())) return {};
    return [options](Context context) -> AnyStage {
      if constexpr (role_of<S>() == Role::source)
        return std::unique_ptr<Source>(std::make_unique<S>(*options, std::move(context)));
      else if constexpr (role_of<S>() == Role::transform)
        return std::unique_ptr<Transform>(std::make_unique<S>(*options, std::move(context)));
      else
        return std::unique_ptr<Sink>(std::make_unique<S>(*options, std::move(context)));
    };
  };
  return plugin;
}

}  // namespace millrace::config
