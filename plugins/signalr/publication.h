#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/signalr/encoded.h"
#include "runner/stage/record.h"

namespace millrace::signalr {

/// A batch made ready for the hub on the pipeline's thread: every record serialised once for each hub protocol, with what
/// decides who gets it. Never changes afterwards.
class Publication {
 public:
  struct Item {
    std::uint64_t series = 0;  ///< device and set of field names; of telemetry only
    std::uint32_t json = 0;    ///< where its JSON begins
    std::uint32_t json_size = 0;
    std::uint32_t messagepack_size = 0;  ///< which follows the JSON
    std::uint32_t group = 0;             ///< where the group's name begins
    std::uint32_t group_size = 0;
    std::uint32_t other = 0;  ///< a second group, of an alert whose key is not its device; size 0: none
    std::uint32_t other_size = 0;
    std::uint32_t target = 0;  ///< index of the target
    bool telemetry = true;     ///< may be conflated
  };

  /// Telemetry goes to `target`, each record as {"device","time","fields"}; alerts to "alert", the record's fields as one
  /// object; any other kind, never conflated, to a target of the kind's name. Notifications are left out.
  Publication(const Batch& batch, std::string_view target);

  const std::vector<Item>& items() const { return items_; }
  Encoded record(const Item& item) const {
    std::string_view text(text_);
    return {text.substr(item.json, item.json_size), text.substr(item.json + item.json_size, item.messagepack_size)};
  }
  std::string_view group(const Item& item) const { return std::string_view(text_).substr(item.group, item.group_size); }
  std::string_view other(const Item& item) const { return std::string_view(text_).substr(item.other, item.other_size); }
  const std::string& target(const Item& item) const { return targets_[item.target]; }

  std::size_t bytes() const { return text_.size() + items_.size() * sizeof(Item); }

 private:
  void add(const Record& record);
  std::uint32_t target_index(std::string_view name);
  std::pair<std::uint32_t, std::uint32_t> add_group(std::string_view device);

  std::string text_;
  std::vector<std::string> targets_;
  std::vector<Item> items_;
};

/// The group of a device's followers.
std::string device_group(std::string_view device);

/// Identifies a series: the same for equal device, target and field names in any order. Keyed by a number drawn at start, so
/// that no device can choose names that meet another's.
std::uint64_t series_id(std::string_view target, std::string_view device, const FieldList& fields);

}  // namespace millrace::signalr
