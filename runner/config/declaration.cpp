#include "runner/config/declaration.h"

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

}  // namespace millrace::config
