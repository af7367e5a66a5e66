#include "plugins/alert/silences.h"

#include <fmt/format.h>

#include "plugins/alert/codec.h"

namespace millrace::alert {

namespace {

constexpr std::uint8_t version = 1;

Time time_of(Micros micros) { return Time{Duration{micros}}; }

std::string_view any_if_empty(const std::string& name) { return name.empty() ? std::string_view("*") : std::string_view(name); }

}  // namespace

Result<void> Silences::add(millrace::Silence silence, Time now) {
  if (silence.to <= silence.from) return invalid("a silence ends after it begins");
  if (silence.to <= now) return invalid("that silence would be over already");
  if (silence.id.empty())
    silence.id = fmt::format("{}/{}@{}", any_if_empty(silence.rule), any_if_empty(silence.key), to_whole_millis(silence.from));
  forget_past(now);
  std::erase_if(all_, [&](const millrace::Silence& s) { return s.id == silence.id; });
  if (all_.size() >= most) return overloaded(fmt::format("there are {} silences already: end some", all_.size()));
  all_.push_back(std::move(silence));
  return {};
}

Result<void> Silences::end(const millrace::Silence& which, Time now) {
  forget_past(now);
  auto meant = [&](const millrace::Silence& s) {
    return which.id.empty() ? s.rule == which.rule && s.key == which.key : s.id == which.id;
  };
  if (std::erase_if(all_, meant) > 0) return {};
  if (!which.id.empty()) return invalid(fmt::format("no silence is called '{}'", which.id));
  return invalid(fmt::format("there is no silence of rule {} and key {}", any_if_empty(which.rule), any_if_empty(which.key)));
}

void Silences::forget_past(Time now) {
  std::erase_if(all_, [&](const millrace::Silence& s) { return s.to <= now; });
}

std::vector<Silence> Silences::plan() const {
  std::vector<Silence> plan;
  for (const millrace::Silence& s : all_)
    plan.push_back({s.id, s.from.time_since_epoch().count(), s.to.time_since_epoch().count(), s.rule, s.key});
  return plan;
}

std::string Silences::save() const {
  std::string bytes;
  Writer out(bytes);
  out.put(version);
  out.put(static_cast<std::uint32_t>(all_.size()));
  for (const millrace::Silence& s : all_) {
    out.put(static_cast<Micros>(s.from.time_since_epoch().count()));
    out.put(static_cast<Micros>(s.to.time_since_epoch().count()));
    for (const std::string* text : {&s.id, &s.rule, &s.key, &s.by, &s.comment}) out.put(std::string_view(*text));
  }
  return bytes;
}

bool Silences::load(std::string_view bytes) {
  Reader in(bytes);
  all_.clear();
  if (in.get<std::uint8_t>() != version) return false;
  for (auto count = in.get<std::uint32_t>(); count > 0 && in.good(); --count) {
    millrace::Silence& s = all_.emplace_back();
    s.from = time_of(in.get<Micros>());
    s.to = time_of(in.get<Micros>());
    for (std::string* text : {&s.id, &s.rule, &s.key, &s.by, &s.comment}) *text = in.text();
  }
  if (!in.good()) all_.clear();
  return in.good();
}

}  // namespace millrace::alert
