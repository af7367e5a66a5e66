#include "runner/store/history.h"

#include <fmt/core.h>

namespace millrace::store {

std::string dedup_key(std::string_view pipeline, std::string_view stage, std::string_view rule, std::string_view key) {
  return fmt::format("{}/{}/{}/{}", pipeline, stage, rule, key);
}

std::string incident_id(std::string_view dedup_key, std::uint64_t opening) { return fmt::format("{}#{}", dedup_key, opening); }

const std::string& level_of(const Event& event) {
  const bool ends = event.to_state == "OK" && event.from_state != "OK" && event.from_state != "PENDING";
  return ends ? event.level_from : event.level_to;
}

std::string_view name_of(DeliveryStatus status) {
  switch (status) {
    case DeliveryStatus::pending: return "pending";
    case DeliveryStatus::delivered: return "delivered";
    case DeliveryStatus::dead: return "dead";
  }
  return "pending";
}

}  // namespace millrace::store
