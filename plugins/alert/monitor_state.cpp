#include <algorithm>

#include "plugins/alert/key.h"
#include "plugins/alert/monitor.h"

namespace millrace::alert {

namespace {

/// A clock that stands less than this before the last moment saved has not been set back.
constexpr Micros least_step = 5'000'000;

/// Changes with the layout of what is saved; bytes of another version are not read.
constexpr std::uint8_t version = 2;

/// No rule has it: the holds' place among the groups'.
constexpr std::string_view holds_name = "";

void put(Writer& out, const Quote& quote) {
  out.put(static_cast<std::uint8_t>(quote.index()));
  if (const double* number = std::get_if<double>(&quote)) out.put(*number);
  if (const std::string* text = std::get_if<std::string>(&quote)) out.put(*text);
}

Quote quote_from(Reader& in) {
  switch (in.get<std::uint8_t>()) {
    case 1: return in.get<double>();
    case 2: return std::string(in.text());
    default: return {};
  }
}

}  // namespace

void Monitor::Alert::save(Writer& out) const {
  life.save(out);
  teller.save(out);
  const Change of = told ? told->change() : Change();
  const std::span<const double> figures = told ? told->figures() : std::span<const double>();
  out.put(of.from);
  out.put(of.to);
  out.put(of.level);
  out.put(of.reason);
  out.put(of.at);
  out.put(told ? told->value() : null_value);
  out.put(static_cast<std::uint32_t>(figures.size()));
  out.raw(figures.data(), figures.size() * sizeof(double));
  out.put(group ? std::string_view(*group) : std::string_view());
}

bool Monitor::Alert::load(const LifePlan& plan, Reader& in) {
  if (!life.load(plan, in) || !teller.load(in)) return false;
  Change of{.from = in.get<State>(), .to = in.get<State>(), .level = in.get<int>()};
  of.reason = in.get<Reason>();
  of.at = in.get<Micros>();
  const auto value = in.get<double>();
  auto count = in.get<std::uint32_t>();
  std::string_view raw = in.bytes(std::size_t{count} * sizeof(double));
  if (!in.good() || of.level < 0 || of.level > static_cast<int>(plan.levels.size()) || of.to > State::latched ||
      of.from > State::latched)
    return false;
  std::vector<double> figures(count);
  raw.copy(reinterpret_cast<char*>(figures.data()), raw.size());
  told = of.level > 0 ? Told::make(of, value, figures) : nullptr;
  if (std::string_view name = in.text(); !name.empty()) group = std::make_unique<std::string>(name);
  return in.good();
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
  out.put(static_cast<std::uint32_t>(key->quotes ? plan_.quotes : 0));
  for (std::size_t i = 0; key->quotes && i < plan_.quotes; ++i) put(out, (*key->quotes)[i]);
  std::string part;
  for (const RulePlan& rule : plan_.rules) {
    const Instance& instance = key->rules[index_of(rule)];
    part.clear();
    Writer inner(part);
    if (rule.window) instance.window.save(*rule.window, inner);
    for (std::size_t i = 1; i < rule.parts.size(); ++i) instance.further[i - 1].save(rule.parts[i].plan, inner);
    inner.put(instance.last_value);
    inner.put(instance.last_time);
    inner.put(instance.alert != nullptr);
    if (instance.alert) instance.alert->save(inner);
    out.put(rule.name);
    out.put(rule.meaning);
    int level = instance.alert ? instance.alert->life.level() : 0;
    out.put(level > 0 ? std::string_view(rule.life.levels[static_cast<std::size_t>(level) - 1].name) : std::string_view());
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
  bool good = waiting.load(in, inputs);
  auto quotes = in.get<std::uint32_t>();
  if (quotes > 0 && quotes == plan_.quotes) key->quotes = std::make_unique<std::vector<Quote>>();
  for (; quotes > 0 && in.good(); --quotes) {
    Quote quote = quote_from(in);
    if (key->quotes) key->quotes->push_back(std::move(quote));
  }
  good = good && load_rules(*key, in);
  // Records that wait carry the inputs of the rules as they were; under other inputs they would be misread.
  if (inputs == plan_.inputs && !waiting.empty()) key->waiting = std::make_unique<Reorder>(std::move(waiting));
  if (good) {
    for (const RulePlan& rule : plan_.rules)
      if (const auto& alert = key->rules[index_of(rule)].alert) take_part(*key, rule, State::ok, alert->life.state());
    schedule(*key);
    return true;
  }
  names_.erase(names_.find(KeyName(key->name)));
  *key = Key{};
  free_.push_back(key);
  return false;
}

void Monitor::lost(std::string_view name, Micros now) {
  if (find(name) || names_.size() >= plan_.max_keys) return;
  Key* key = create(name);
  key->heard = now_ == never_yet ? now : now_;
  for (const RulePlan& rule : plan_.rules) {
    Instance& instance = key->rules[index_of(rule)];
    instance.window.begin_partial(key->heard);
    for (std::size_t i = 1; i < rule.parts.size(); ++i) instance.further[i - 1].begin_partial(key->heard);
  }
  touch(*key);
  schedule(*key);
}

bool Monitor::load_rules(Key& key, Reader& in) {
  while (in.good() && !in.over()) {
    std::string_view name = in.text();
    auto meaning = in.get<std::uint64_t>();
    std::string_view level = in.text();
    Reader part(in.text());
    const RulePlan* rule = rule_named(name);
    if (!rule || rule->meaning != meaning) {
      if (!level.empty()) lost_levels_[{std::string(name), key.name}] = level;
      continue;
    }
    Instance& instance = key.rules[index_of(*rule)];
    if (rule->window && !instance.window.load(*rule->window, part)) return false;
    for (std::size_t i = 1; i < rule->parts.size(); ++i)
      if (!instance.further[i - 1].load(rule->parts[i].plan, part)) return false;
    instance.last_value = part.get<double>();
    instance.last_time = part.get<Micros>();
    if (part.get<std::uint8_t>() == 0) continue;
    if (!alert(instance).load(rule->life, part)) return false;
  }
  return in.good();
}

std::string Monitor::lost_level(std::string_view rule, std::string_view key) const {
  auto found = lost_levels_.find({std::string(rule), std::string(key)});
  return found == lost_levels_.end() ? std::string() : found->second;
}

std::string Monitor::save_common() const {
  std::string bytes;
  Writer out(bytes);
  out.put(version);
  out.put(now_);
  out.put(common_.at);
  out.put(common_.newest);
  std::string part;
  for (const auto& trouble : troubles_) {
    part.clear();
    Writer inner(part);
    if (trouble) {
      const auto& alert = trouble->key.rules[index_of(*trouble_)].alert;
      inner.put(trouble->key.heard);
      inner.put(trouble->times);
      if (alert) alert->save(inner);
    }
    out.put(part);
  }
  for (const RulePlan& rule : plan_.rules) {
    if (!rule.notify.group) continue;
    const Groups& groups = groups_[index_of(rule)];
    part.clear();
    Writer inner(part);
    inner.put(groups.told);
    for (const auto& [name, group] : groups.of) {
      inner.put(name);
      group.save(inner);
    }
    out.put(rule.name);
    out.put(part);
  }
  part.clear();
  Writer inner(part);
  save_holds(inner);
  out.put(holds_name);
  out.put(part);
  return bytes;
}

bool Monitor::load_common(std::string_view bytes) {
  Reader in(bytes);
  if (in.get<std::uint8_t>() != version) return false;
  now_ = in.get<Micros>();
  common_.at = in.get<Micros>();
  common_.newest = in.get<Micros>();
  return load_troubles(in) && load_groups(in);
}

bool Monitor::load_troubles(Reader& in) {
  for (std::size_t i = 0; i < troubles; ++i) {
    Reader part(in.text());
    if (part.over() || !trouble_) continue;
    OwnTrouble& trouble = own(static_cast<Trouble>(i));
    trouble.key.heard = part.get<Micros>();
    trouble.times = part.get<std::uint64_t>();
    if (!part.over() && !alert(trouble.key.rules[index_of(*trouble_)]).load(trouble_->life, part)) return false;
    run_trouble(trouble);
  }
  return in.good();
}

bool Monitor::load_groups(Reader& in) {
  while (in.good() && !in.over()) {
    std::string_view name = in.text();
    Reader part(in.text());
    if (name == holds_name) load_holds(part);
    const RulePlan* rule = rule_named(name);
    if (!rule || !rule->notify.group) continue;
    Groups& groups = groups_[index_of(*rule)];
    groups.told = part.get<std::uint64_t>();
    while (part.good() && !part.over())
      if (std::string group(part.text()); !groups.of[group].load(part)) return false;
  }
  return in.good();
}

void Monitor::adopt(std::string_view rule_name, std::string_view name, std::uint64_t openings, std::uint64_t events) {
  const RulePlan* rule = rule_named(rule_name);
  if (!rule || rule == trouble_) return;
  Key* key = find(name);
  if (!key && names_.size() >= plan_.max_keys) return;
  if (!key) key = create(name);
  Instance& instance = key->rules[index_of(*rule)];
  if (!instance.alert) alert(instance).life.adopt(openings, events);
}

void Monitor::begin_stream_anew(Key& key) {
  key.watermark = {};
  key.waiting.reset();
  for (const RulePlan& rule : plan_.rules) {
    Instance& instance = key.rules[index_of(rule)];
    instance.window = {};
    for (std::size_t i = 1; i < rule.parts.size(); ++i) instance.further[i - 1] = {};
  }
  touch(key);
}

void Monitor::forget_streams() {
  common_ = {};
  for (const Slot& slot : names_) begin_stream_anew(*slot.key);
}

void Monitor::restarted(Micros down, Micros up, bool windows_kept) {
  if (down == 0) down = now_ == never_yet ? up : now_;
  const Micros away = std::max<Micros>(0, up - down);
  // What a source offers again may have arrived a little before the last moment saved.
  const Micros back = now_ != never_yet && now_ - up > std::max(late_, least_step) ? now_ - up : 0;
  now_ = back > 0 ? up : std::max(now_, up);
  if (back > 0 && common_.newest > now_ + plan_.time.early) common_ = {};
  each_key([&](Key& key) {
    if (key.heard != never_yet) key.heard += away - back + (silence_ ? silence_->restart_grace : 0);
    if (back > 0 && key.watermark.newest > now_ + plan_.time.early) {
      // Its events are dated by the clock that was set back, so they begin again.
      advance(key, for_ever);
      begin_stream_anew(key);
    }
    if (!windows_kept) key.waiting.reset();
    for (const RulePlan& rule : plan_.rules) {
      Instance& instance = key.rules[index_of(rule)];
      if (rule.window && !windows_kept) {
        instance.window.lose(key.watermark.newest);
        for (std::size_t i = 1; i < rule.parts.size(); ++i) instance.further[i - 1].lose(key.watermark.newest);
      }
      if (!instance.alert) continue;
      instance.alert->life.restarted(rule.life, away);
      if (back > 0) instance.alert->teller.shift(-back);
    }
    touch(key);
    key.reschedule = true;
    key.clock_turn = for_ever;
    if (!key.own) schedule(key);
  });
  for (Groups& groups : groups_)
    for (auto& [name, group] : groups.of)
      if (back > 0) group.shift(-back);
  for (const auto& trouble : troubles_)
    if (trouble) run_trouble(*trouble);
}

std::size_t Monitor::memory() const {
  std::size_t bytes = events_.memory() + clocks_.memory();
  for (const Hold& hold : holds_) bytes += sizeof(Hold) + hold.events.memory();
  bytes += names_.bucket_count() * (sizeof(Slot) + 1);
  for (const auto& places : alike_) {
    bytes += places.bucket_count() * (sizeof(std::string) + sizeof(Alike) + 1);
    for (const auto& [texts, alike] : places)
      bytes += (texts.capacity() > 15 ? texts.capacity() + 1 : 0) + alike.muted.bucket_count() * (2 * sizeof(void*) + 1);
  }
  for (const auto& [hash, key] : names_) {
    bytes += sizeof(Key) + plan_.rules.size() * sizeof(Instance) + (key->name.capacity() > 15 ? key->name.capacity() + 1 : 0);
    for (const RulePlan& rule : plan_.rules) {
      const Instance& instance = key->rules[index_of(rule)];
      if (rule.window) bytes += instance.window.memory(*rule.window);
      for (std::size_t i = 1; i < rule.parts.size(); ++i)
        bytes += sizeof(Window) + instance.further[i - 1].memory(rule.parts[i].plan);
      if (instance.alert) bytes += sizeof(Alert);
    }
  }
  return bytes;
}

}  // namespace millrace::alert
