#include <algorithm>

#include "plugins/alert/key.h"
#include "plugins/alert/monitor.h"

namespace millrace::alert {

namespace {

/// Changes with the layout of what is saved; bytes of another version are not read.
constexpr std::uint8_t version = 1;

}  // namespace

void Monitor::Alert::save(Writer& out) const {
  life.save(out);
  teller.save(out);
  out.put(told_of.from);
  out.put(told_of.to);
  out.put(told_of.level);
  out.put(told_of.reason);
  out.put(told_of.at);
  out.put(value);
  out.put(static_cast<std::uint32_t>(figures.size()));
  out.raw(figures.data(), figures.size() * sizeof(double));
}

bool Monitor::Alert::load(const LifePlan& plan, Reader& in) {
  if (!life.load(plan, in) || !teller.load(in)) return false;
  told_of.from = in.get<State>();
  told_of.to = in.get<State>();
  told_of.level = in.get<int>();
  told_of.reason = in.get<Reason>();
  told_of.at = in.get<Micros>();
  value = in.get<double>();
  auto count = in.get<std::uint32_t>();
  std::string_view raw = in.bytes(std::size_t{count} * sizeof(double));
  if (!in.good() || told_of.level < 0 || told_of.level > static_cast<int>(plan.levels.size()) || told_of.to > State::latched ||
      told_of.from > State::latched)
    return false;
  figures.resize(count);
  raw.copy(reinterpret_cast<char*>(figures.data()), raw.size());
  return true;
}

std::vector<std::string> Monitor::take_changed() {
  std::vector<std::string> names;
  names.reserve(changed_.size());
  for (Key* key : changed_) {
    key->changed = false;
    if (key->rules) names.push_back(key->name);
  }
  changed_.clear();
  return names;
}

std::string Monitor::save(std::string_view name) const {
  std::string bytes;
  const Key* key = find(name);
  if (!key) return bytes;
  Writer out(bytes);
  out.put(version);
  out.put(key->watermark.at);
  out.put(key->watermark.newest);
  out.put(key->heard);
  out.put(key->missed);
  std::size_t sources = (key->source == 0 ? 0U : 1U) + (key->further ? key->further->size() : 0);
  out.put(static_cast<std::uint32_t>(sources));
  if (key->source != 0) {
    out.put(key->source);
    out.put(key->sequence);
  }
  for (std::size_t i = 0; key->further && i < key->further->size(); ++i) {
    out.put((*key->further)[i].first);
    out.put((*key->further)[i].second);
  }
  out.put(static_cast<std::uint32_t>(plan_.inputs));
  (key->waiting ? *key->waiting : Reorder{}).save(out);
  std::string part;
  for (const RulePlan& rule : plan_.rules) {
    const Instance& instance = key->rules[index_of(rule)];
    part.clear();
    Writer inner(part);
    if (rule.window) instance.window.save(*rule.window, inner);
    inner.put(instance.last_value);
    inner.put(instance.last_time);
    inner.put(instance.alert != nullptr);
    if (instance.alert) instance.alert->save(inner);
    out.put(rule.name);
    out.put(rule.meaning);
    out.put(part);
  }
  return bytes;
}

bool Monitor::load(std::string_view name, std::string_view bytes) {
  Reader in(bytes);
  if (find(name) || names_.size() >= plan_.max_keys || in.get<std::uint8_t>() != version) return false;
  Key* key = create(name);
  key->watermark.at = in.get<Micros>();
  key->watermark.newest = in.get<Micros>();
  key->heard = in.get<Micros>();
  key->missed = in.get<std::uint8_t>() != 0;
  for (auto sources = in.get<std::uint32_t>(); sources > 0 && in.good(); --sources) {
    Arrival seen;
    seen.source = in.get<std::uint32_t>();
    seen.sequence = in.get<std::uint64_t>();
    cover(*key, seen);
  }
  auto inputs = in.get<std::uint32_t>();
  Reorder waiting;
  bool good = waiting.load(in, inputs) && load_rules(*key, in);
  // Records that wait carry the inputs of the rules as they were; under other inputs they would be misread.
  if (inputs == plan_.inputs && !waiting.empty()) key->waiting = std::make_unique<Reorder>(std::move(waiting));
  if (good) {
    schedule(*key);
    return true;
  }
  names_.erase(key->name);
  *key = Key{};
  free_.push_back(key);
  return false;
}

bool Monitor::load_rules(Key& key, Reader& in) {
  while (in.good() && !in.over()) {
    std::string_view name = in.text();
    auto meaning = in.get<std::uint64_t>();
    Reader part(in.text());
    const RulePlan* rule = rule_named(name);
    if (!rule || rule->meaning != meaning) continue;
    Instance& instance = key.rules[index_of(*rule)];
    if (rule->window && !instance.window.load(*rule->window, part)) return false;
    instance.last_value = part.get<double>();
    instance.last_time = part.get<Micros>();
    if (part.get<std::uint8_t>() == 0) continue;
    if (!alert(instance).load(rule->life, part)) return false;
  }
  return in.good();
}

std::string Monitor::save_common() const {
  std::string bytes;
  Writer out(bytes);
  out.put(version);
  out.put(now_);
  out.put(common_.at);
  out.put(common_.newest);
  std::string part;
  for (const RulePlan& rule : plan_.rules) {
    if (!rule.notify.group) continue;
    part.clear();
    Writer inner(part);
    groups_[index_of(rule)].save(inner);
    out.put(rule.name);
    out.put(part);
  }
  return bytes;
}

bool Monitor::load_common(std::string_view bytes) {
  Reader in(bytes);
  if (in.get<std::uint8_t>() != version) return false;
  now_ = in.get<Micros>();
  common_.at = in.get<Micros>();
  common_.newest = in.get<Micros>();
  while (in.good() && !in.over()) {
    const RulePlan* rule = rule_named(in.text());
    Reader part(in.text());
    if (rule && rule->notify.group && !groups_[index_of(*rule)].load(part)) return false;
  }
  return in.good();
}

void Monitor::adopt(std::string_view rule_name, std::string_view name, std::uint64_t openings, std::uint64_t events) {
  const RulePlan* rule = rule_named(rule_name);
  Key* key = find(name);
  if (!rule || (!key && names_.size() >= plan_.max_keys)) return;
  if (!key) key = create(name);
  Instance& instance = key->rules[index_of(*rule)];
  if (!instance.alert) alert(instance).life.adopt(openings, events);
}

void Monitor::forget_streams() {
  common_ = {};
  for (auto& [name, key] : names_) {
    key->watermark = {};
    key->waiting.reset();
    for (const RulePlan& rule : plan_.rules) key->rules[index_of(rule)].window = {};
    touch(*key);
  }
}

void Monitor::restarted(Micros down, Micros up, bool windows_kept) {
  Micros away = down == 0 ? (now_ == never_yet ? 0 : up - now_) : up - down;
  away = std::max<Micros>(0, away);
  now_ = std::max(now_, up);
  for (auto& [name, key] : names_) {
    if (key->heard != never_yet) key->heard += away + (silence_ ? silence_->restart_grace : 0);
    if (!windows_kept) key->waiting.reset();
    for (const RulePlan& rule : plan_.rules) {
      Instance& instance = key->rules[index_of(rule)];
      if (rule.window && !windows_kept) instance.window.lose(key->watermark.newest);
      if (instance.alert) instance.alert->life.restarted(rule.life, away);
    }
    touch(*key);
    schedule(*key);
  }
}

std::size_t Monitor::memory() const {
  std::size_t bytes = events_.memory() + clocks_.memory();
  bytes += names_.bucket_count() * (sizeof(std::pair<std::string_view, Key*>) + 1);
  for (const auto& [name, key] : names_) {
    bytes += sizeof(Key) + plan_.rules.size() * sizeof(Instance) + (key->name.capacity() > 15 ? key->name.capacity() + 1 : 0);
    for (const RulePlan& rule : plan_.rules) {
      const Instance& instance = key->rules[index_of(rule)];
      if (rule.window) bytes += instance.window.memory(*rule.window);
      if (instance.alert) bytes += sizeof(Alert);
    }
  }
  return bytes;
}

}  // namespace millrace::alert
