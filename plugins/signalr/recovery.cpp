#include "plugins/signalr/recovery.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <variant>

#include "plugins/signalr/hub.h"

namespace millrace::signalr {
namespace {

using nlohmann::json;

constexpr std::uint64_t newest_of_all = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t most_named = 1000;  ///< series in one call
constexpr int items_a_turn = 64;
constexpr int most_recitals = 4;  ///< of a client at a time

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

/// What is still to be sent of one series.
struct Passage {
  Named named;  ///< as the client shall hear of what is missing
  std::uint32_t place;
  std::uint64_t series;              ///< its id: another may take its place meanwhile
  std::uint64_t from, to;            ///< numbers
  std::optional<json> opening = {};  ///< goes in front
};

/// One item of a stream: a record as it was kept, or something said about them.
using Item = std::variant<json, History::Kept>;

/// How many streams of each client are under way.
using Underway = std::unordered_map<std::string, int>;

/// A stream of what the history keeps, read from it as the client reads: who does not read holds on to nothing of it, and what
/// it drops meanwhile becomes a gap. Never more is under way than the client's queue has room for, whatever the size of
/// records.
class Recital : public std::enable_shared_from_this<Recital> {
 public:
  /// What to send of the series at a place, if anything.
  using Choose = std::function<std::optional<Passage>(const Connection& caller, std::uint32_t place)>;

  /// What follows all of them; `complete` says that there was no gap.
  using Close = std::function<std::deque<json>(bool complete)>;

  /// Answers the call instead if the caller has too many streams already.
  static void begin(const Hub& hub, Call call, const std::shared_ptr<Underway>& underway, Choose choose, Close close) {
    auto caller = call.caller();
    if (!caller) return;
    int& count = (*underway)[caller->id()];
    if (count >= most_recitals) return call.fail("Too many streams of records at a time: 4 are allowed.");
    std::shared_ptr<Recital> recital(new Recital(hub, std::move(call), underway, caller->id(), count));
    recital->choose_ = std::move(choose);
    recital->close_ = std::move(close);
    recital->go();
  }
  ~Recital() {
    auto count = underway_->find(caller_);
    if (--count->second == 0) underway_->erase(count);
  }

 private:
  Recital(const Hub& hub, Call call, std::shared_ptr<Underway> underway, std::string caller, int& count)
      : hub_(hub), call_(std::move(call)), underway_(std::move(underway)), caller_(std::move(caller)) {
    ++count;
  }

  void go() {
    auto caller = call_.caller();
    if (!caller) return;
    for (int i = 0; i < items_a_turn; ++i) {
      if (!next_) next_ = make_next(*caller);
      if (!next_) return;
      if (!caller->queue().has_spare(frame_size(*next_))) break;
      Item item = std::move(*std::exchange(next_, std::nullopt));
      auto* record = std::get_if<History::Kept>(&item);
      if (!(record ? call_.item(record->record()) : call_.item(std::get<json>(item)))) return;
    }
    call_.when_drained([self = shared_from_this()] { self->go(); });
  }

  static Item said(json what) { return Item(std::in_place_type<json>, std::move(what)); }

  std::optional<Item> make_next(const Connection& caller) {
    while (true) {
      if (passage_)
        if (auto item = read(*passage_)) return item;
      passage_ = place_ < hub_.series().size() ? choose_(caller, place_++) : std::nullopt;
      if (passage_ || place_ < hub_.series().size()) continue;
      if (auto close = std::exchange(close_, nullptr)) last_ = close(complete_);
      if (last_.empty()) return std::nullopt;
      Item item = said(std::move(last_.front()));
      last_.pop_front();
      return item;
    }
  }

  std::optional<Item> read(Passage& passage) {
    if (passage.opening) return said(*std::exchange(passage.opening, std::nullopt));
    if (passage.from > passage.to) return std::nullopt;
    const Latest::Series& series = hub_.series().at(passage.place);
    std::uint64_t first = series.id == passage.series ? hub_.history().first(passage.place, series.seq) : passage.to + 1;
    if (passage.from >= first)
      return Item(std::in_place_type<History::Kept>, *hub_.history().at(passage.place, passage.from++));
    complete_ = false;
    std::uint64_t last = std::min(passage.to, first - 1);
    return said(passage.named.gap(hub_, std::exchange(passage.from, last + 1), last));
  }

  /// About as much as an item takes on its way, rather more than less.
  std::size_t frame_size(const Item& item) const {
    constexpr std::size_t around = 128;
    std::size_t invocation = call_.id() ? call_.id()->size() : 0;
    if (auto* record = std::get_if<History::Kept>(&item)) return record->bytes() + invocation + around;
    return std::get<json>(item).dump().size() + invocation + around;
  }

  const Hub& hub_;
  Call call_;
  std::shared_ptr<Underway> underway_;
  std::string caller_;  ///< the connection's id
  Choose choose_;
  Close close_;
  std::optional<Passage> passage_;
  std::uint32_t place_ = 0;  ///< that is to be looked at next
  std::deque<json> last_;
  std::optional<Item> next_;
  bool complete_ = true;
};

void history(const Hub& hub, const std::shared_ptr<Underway>& underway, Call call) {
  const json& arguments = call.arguments;
  auto named = arguments.empty() || arguments.size() > 3 ? std::nullopt : read_named(arguments[0]);
  auto bound = [&](std::size_t at, std::uint64_t otherwise) -> std::optional<std::uint64_t> {
    if (arguments.size() <= at || arguments[at].is_null()) return otherwise;
    return number_in(arguments[at]);
  };
  auto from = bound(1, 1), to = bound(2, newest_of_all);
  if (!named || !from || !to)
    return call.fail("Expected a series, {\"device\", \"fields\", \"target\"} or a device, and the first and last number.");

  auto found = std::make_shared<bool>(false);
  auto choose = [&hub, named, from, to, found](const Connection& caller, std::uint32_t place) -> std::optional<Passage> {
    const Latest::Series& series = hub.series().at(place);
    if (!named->means(series) || !hub.may_see(caller, series)) return std::nullopt;
    *found = true;
    return Passage{*named, place, series.id, std::max<std::uint64_t>(*from, 1), std::min(*to, series.seq)};
  };
  auto close = [&hub, named, from, found](bool) {
    std::deque<json> last;
    if (!*found) last.push_back(named->gap(hub, *from, std::nullopt));
    return last;
  };
  Recital::begin(hub, std::move(call), underway, choose, close);
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

/// What a client has missed of all that it wants.
class Missed {
 public:
  Missed(const Hub& hub, Listed listed, bool same_epoch)
      : hub_(hub), listed_(std::move(listed)), same_epoch_(same_epoch), evicted_(hub.counters().evicted.value()) {}

  std::optional<Passage> of(const Connection& caller, std::uint32_t place) {
    const Latest::Series& series = hub_.series().at(place);
    if (!hub_.wants(caller, series)) return std::nullopt;
    Named named{.group = series.group, .target = series.channel.target};
    for (auto [one, end] = listed_.equal_range(series.group); one != end; ++one) {
      if (!one->second.means(series)) continue;
      met_.insert(&one->second);
      named = one->second;
    }
    Passage passage{named, place, series.id, std::max<std::uint64_t>(named.seq + 1, 1), series.seq};
    if (same_epoch_) return passage;
    // Its numbers were another hub's: how many are missing, nobody knows.
    if (named.seq > 0) passage.opening.emplace(named.gap(hub_, named.seq + 1, std::nullopt));
    passage.from = 1;
    return passage;
  }

  std::deque<json> end(bool complete) const {
    std::deque<json> last;
    for (const auto& [group, named] : listed_)
      if (!met_.contains(&named)) last.push_back(named.gap(hub_, named.seq + 1, std::nullopt));
    // Who has lost its place meanwhile may have lost it unread.
    bool all = complete && same_epoch_ && last.empty() && hub_.counters().evicted.value() == evicted_;
    last.push_back({{"epoch", hub_.epoch()}, {"recovered", all}});
    return last;
  }

 private:
  const Hub& hub_;
  Listed listed_;
  std::set<const Named*> met_;
  bool same_epoch_;
  std::uint64_t evicted_;  ///< series, when this began
};

void recover(const Hub& hub, const std::shared_ptr<Underway>& underway, Call call) {
  bool texts = call.arguments.size() == 2 && call.arguments[0].is_string();
  auto listed = texts ? read_listed(call.arguments[1]) : std::nullopt;
  if (!listed) return call.fail("Expected the epoch, and up to 1000 of {\"device\", \"fields\", \"target\", \"seq\"}.");
  bool same_epoch = call.arguments[0].get_ref<const std::string&>() == hub.epoch();
  auto missed = std::make_shared<Missed>(hub, std::move(*listed), same_epoch);
  Recital::begin(
      hub, std::move(call), underway,
      [missed](const Connection& caller, std::uint32_t place) { return missed->of(caller, place); },
      [missed](bool complete) { return missed->end(complete); });
}

}  // namespace

void add_recovery_methods(Hub& hub) {
  auto underway = std::make_shared<Underway>();
  hub.stream("History", [&hub, underway](Call call) { history(hub, underway, std::move(call)); });
  hub.stream("Recover", [&hub, underway](Call call) { recover(hub, underway, std::move(call)); });
}

}  // namespace millrace::signalr
