#include "plugins/signalr/recovery.h"

#include <deque>
#include <limits>
#include <optional>
#include <set>
#include <unordered_map>
#include <variant>

#include "plugins/signalr/hub.h"

namespace millrace::signalr {
namespace {

using nlohmann::json;

constexpr std::uint64_t newest_of_all = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t most_named = 1000;  ///< series in one call
constexpr int items_a_turn = 64;
constexpr int most_recitals = 4;  ///< of a client at a time: each holds on to what it is still to send

/// How many streams of each client are under way.
using Underway = std::unordered_map<std::string, int>;

/// A stream's items, sent as fast as the client reads.
class Recital : public std::enable_shared_from_this<Recital> {
 public:
  /// Null, and the call is answered, if the caller has gone or has too many already.
  static std::shared_ptr<Recital> begin(Call call, const std::shared_ptr<Underway>& underway) {
    auto caller = call.caller();
    if (!caller) return nullptr;
    int& count = (*underway)[caller->id()];
    if (count < most_recitals) return std::shared_ptr<Recital>(new Recital(std::move(call), underway, caller->id(), count));
    call.fail("Too many streams of records at a time: 4 are allowed.");
    return nullptr;
  }
  ~Recital() {
    auto count = underway_->find(caller_);
    if (--count->second == 0) underway_->erase(count);
  }

  void add(json item) { items_.emplace_back(std::move(item)); }
  void add(std::shared_ptr<const History::Kept> record) { items_.emplace_back(std::move(record)); }

  void go() {
    for (int i = 0; i < items_a_turn && !items_.empty(); ++i) {
      auto item = std::move(items_.front());
      items_.pop_front();
      auto* record = std::get_if<std::shared_ptr<const History::Kept>>(&item);
      if (!(record ? call_.item((*record)->record()) : call_.item(std::get<json>(item)))) return;
    }
    if (!items_.empty()) call_.when_drained([self = shared_from_this()] { self->go(); });
  }

 private:
  Recital(Call call, std::shared_ptr<Underway> underway, std::string caller, int& count)
      : call_(std::move(call)), underway_(std::move(underway)), caller_(std::move(caller)) {
    ++count;
  }

  Call call_;
  std::shared_ptr<Underway> underway_;
  std::string caller_;  ///< the connection's id
  std::deque<std::variant<json, std::shared_ptr<const History::Kept>>> items_;
};

/// A series as a client names it.
struct Named {
  std::string group;
  std::string target;  ///< empty: any
  std::optional<std::uint64_t> names;
  json fields;  ///< as named
  std::uint64_t seq = 0;

  bool means(const Latest::Series& series) const {
    return series.group == group && (!names || series.names == *names) && (target.empty() || series.channel.target == target);
  }

  json gap(const Hub& hub, std::uint64_t from, std::optional<std::uint64_t> to) const {
    json item{{"gap", {{"from", from}, {"to", to ? json(*to) : json()}}},
              {"device", group.substr(device_group("").size())},
              {"epoch", hub.epoch()}};
    if (!fields.is_null()) item["fields"] = fields;
    if (!target.empty()) item["target"] = target;
    return item;
  }
};

std::optional<std::uint64_t> number_in(const json& from) {
  if (from.is_number_unsigned()) return from.get<std::uint64_t>();
  if (from.is_number_integer()) return from.get<std::int64_t>() < 0 ? 0 : from.get<std::uint64_t>();
  return std::nullopt;
}

std::optional<Named> read_named(const json& from) {
  Named named;
  if (from.is_string()) {
    named.group = device_group(from.get_ref<const std::string&>());
    return named;
  }
  if (!from.is_object()) return std::nullopt;
  auto device = from.find("device");
  if (device == from.end() || !device->is_string()) return std::nullopt;
  named.group = device_group(device->get_ref<const std::string&>());
  if (auto target = from.find("target"); target != from.end()) {
    if (!target->is_string()) return std::nullopt;
    named.target = target->get<std::string>();
  }
  if (auto fields = from.find("fields"); fields != from.end()) {
    if (!fields->is_array()) return std::nullopt;
    std::uint64_t names = fields->size();
    for (const json& name : *fields) {
      if (!name.is_string()) return std::nullopt;
      names += name_id(name.get_ref<const std::string&>());
    }
    named.names = names;
    named.fields = *fields;
  }
  if (auto seq = from.find("seq"); seq != from.end()) {
    auto number = number_in(*seq);
    if (!number) return std::nullopt;
    named.seq = *number;
  }
  return named;
}

/// Adds what is kept of a series from one number to another, behind a gap if that is not all; returns whether it is.
bool recite(const Hub& hub, Recital& recital, const Named& named, std::uint32_t place, std::uint64_t from, std::uint64_t to) {
  const Latest::Series& series = hub.series().at(place);
  from = std::max<std::uint64_t>(from, 1);
  to = std::min(to, series.seq);
  if (from > to) return true;
  std::uint64_t first = hub.history().first(place, series.seq);
  if (from < first) recital.add(named.gap(hub, from, std::min(to, first - 1)));
  for (auto& record : hub.history().range(place, from, to)) recital.add(std::move(record));
  return from >= first;
}

void history(const Hub& hub, const std::shared_ptr<Underway>& underway, Call call) {
  const json& arguments = call.arguments;
  auto named = arguments.empty() || arguments.size() > 3 ? std::nullopt : read_named(arguments[0]);
  auto bound = [&](std::size_t at, std::uint64_t otherwise) -> std::optional<std::uint64_t> {
    if (arguments.size() <= at || arguments[at].is_null()) return otherwise;
    return number_in(arguments[at]);
  };
  auto from = bound(1, 1), to = bound(2, newest_of_all);
  auto caller = call.caller();
  if (!caller) return;
  if (!named || !from || !to)
    return call.fail("Expected a series, {\"device\", \"fields\", \"target\"} or a device, and the first and last number.");

  auto recital = Recital::begin(std::move(call), underway);
  if (!recital) return;
  bool found = false;
  for (std::uint32_t place = 0; place < hub.series().size(); ++place) {
    if (!named->means(hub.series().at(place)) || !hub.may_see(*caller, hub.series().at(place))) continue;
    found = true;
    recite(hub, *recital, *named, place, *from, *to);
  }
  if (!found) recital->add(named->gap(hub, *from, std::nullopt));
  recital->go();
}

/// The series that a client has named, by device.
using Listed = std::unordered_multimap<std::string, Named>;

std::optional<Listed> read_listed(const json& from) {
  Listed listed;
  if (!from.is_array() || from.size() > most_named) return std::nullopt;
  for (const json& one : from) {
    auto named = read_named(one);
    if (!named) return std::nullopt;
    std::string group = named->group;
    listed.emplace(std::move(group), std::move(*named));
  }
  return listed;
}

void recover(const Hub& hub, const std::shared_ptr<Underway>& underway, Call call) {
  auto caller = call.caller();
  if (!caller) return;
  bool texts = call.arguments.size() == 2 && call.arguments[0].is_string();
  auto listed = texts ? read_listed(call.arguments[1]) : std::nullopt;
  if (!listed) return call.fail("Expected the epoch, and up to 1000 of {\"device\", \"fields\", \"target\", \"seq\"}.");
  bool same_epoch = call.arguments[0].get_ref<const std::string&>() == hub.epoch();

  auto recital = Recital::begin(std::move(call), underway);
  if (!recital) return;
  bool complete = same_epoch;
  std::set<const Named*> met;
  for (std::uint32_t place = 0; place < hub.series().size(); ++place) {
    const Latest::Series& series = hub.series().at(place);
    if (!hub.wants(*caller, series)) continue;
    Named named{.group = series.group, .target = series.channel.target};
    for (auto [one, end] = listed->equal_range(series.group); one != end; ++one) {
      if (!one->second.means(series)) continue;
      met.insert(&one->second);
      named = one->second;
    }
    if (!same_epoch) {
      // Its numbers were another hub's: how many are missing, nobody knows.
      if (named.seq > 0) recital->add(named.gap(hub, named.seq + 1, std::nullopt));
      named.seq = 0;
    }
    complete &= recite(hub, *recital, named, place, named.seq + 1, newest_of_all);
  }
  for (const auto& [group, named] : *listed) {
    if (met.contains(&named)) continue;
    recital->add(named.gap(hub, named.seq + 1, std::nullopt));
    complete = false;
  }
  recital->add({{"epoch", hub.epoch()}, {"recovered", complete}});
  recital->go();
}

}  // namespace

void add_recovery_methods(Hub& hub) {
  auto underway = std::make_shared<Underway>();
  hub.stream("History", [&hub, underway](Call call) { history(hub, underway, std::move(call)); });
  hub.stream("Recover", [&hub, underway](Call call) { recover(hub, underway, std::move(call)); });
}

}  // namespace millrace::signalr
