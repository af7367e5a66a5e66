#include "runner/config/declaration.h"

#include <algorithm>
#include <cassert>

namespace millrace::config {

std::string FieldInfo::type_text() const {
  switch (shape) {
    case Shape::one: return type;
    case Shape::list: return "list of " + type;
    case Shape::map: return "map of " + type;
  }
  return type;
}

std::vector<std::string> Declaration::undocumented() const {
  std::vector<std::string> names;
  for (const FieldInfo& f : fields_) {
    if (f.doc.empty()) names.push_back(f.name);
    if (!f.object) continue;
    for (const std::string& inner : f.object->undocumented()) names.push_back(f.name + "." + inner);
  }
  return names;
}

bool Declaration::Reading::well(const std::vector<std::size_t>& options) const {
  if (options.empty()) return !any_;
  return std::none_of(options.begin(), options.end(), [&](std::size_t option) { return spoilt_[option]; });
}

std::optional<std::size_t> Declaration::index_of(std::string_view name) const {
  auto found = std::find_if(fields_.begin(), fields_.end(), [&](const FieldInfo& f) { return f.name == name; });
  return found == fields_.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - fields_.begin()));
}

std::vector<std::size_t> Declaration::indices_of(const std::vector<std::string>& names) const {
  std::vector<std::size_t> indices;
  for (const std::string& name : names) {
    auto index = index_of(name);
    assert(index && "a check names options that are declared before it");
    indices.push_back(*index);
  }
  return indices;
}

void Declaration::unknown_key(const Entry& entry, const std::vector<std::string>& also_known, Reading& reading,
                              Problems& problems) const {
  if (std::find(also_known.begin(), also_known.end(), entry.key) != also_known.end()) return;
  std::vector<std::string> known = also_known;
  for (const FieldInfo& f : fields_) known.push_back(f.name);
  const std::string* meant = closest(entry.key, known);
  problems.add(entry.position, "unknown key '" + entry.key + "'" + did_you_mean(entry.key, known));
  auto index = meant ? index_of(*meant) : std::nullopt;
  if (index) reading.spoil(*index);
  reading.spoil();
}

void Declaration::missing_keys(const Node& node, std::string_view name, Reading& reading, Problems& problems) const {
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const FieldInfo& f = fields_[i];
    if (!f.required || node.find(f.name)) continue;
    problems.add(node.position, "missing key '" + f.name + "'" + (name.empty() ? "" : " of '" + std::string(name) + "'"));
    reading.spoil(i);
  }
}

}  // namespace millrace::config
