#include "plugins/signalr/audience.h"

#include <fmt/core.h>

#include <algorithm>

namespace millrace::signalr {

bool Audience::excepts(std::string_view connection) const {
  return std::find(except.begin(), except.end(), connection) != except.end();
}

std::string Channel::key() const {
  if (audience.reach == Reach::interested) return target;
  std::string key = target + '\0' + static_cast<char>('0' + static_cast<int>(audience.reach)) + audience.name;
  for (const std::string& id : audience.except) key += '\0' + id;
  return key;
}

Result<Audience> Addressing::of(const Record& record) const {
  Audience audience{.reach = reach};
  auto fill = [&](const TextTemplate& with, std::string& out) -> Result<void> {
    auto filled = with.fill(record, out);
    if (!filled) return rejected(fmt::format("`to` needs {}", filled.error().what));
    return {};
  };
  if (auto filled = fill(name, audience.name); !filled) return filled.error();
  if (reach != Reach::all && (audience.name.empty() || audience.name.size() > longest_group))
    return rejected(fmt::format("`to` comes to '{:.40}', which is no name of 1 to {} bytes", audience.name, longest_group));
  for (const TextTemplate& one : except) {
    if (auto filled = fill(one, audience.except.emplace_back()); !filled) return filled.error();
  }
  return audience;
}

}  // namespace millrace::signalr
