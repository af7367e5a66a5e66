#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "plugins/alert/compile.h"

namespace millrace::alert {

namespace {

/// The texts of these labels, each with its length ahead, so that no two lists of texts come to the same.
std::function<std::optional<std::string>(std::string_view, std::span<const Quote>)> texts_of(
    const RuleText& text, const std::vector<std::string>& names, const std::vector<std::string>& quoted) {
  std::vector<Message> labels;
  for (const std::string& name : names)
    for (const auto& [label, message] : text.labels)
      if (label == name) labels.push_back(message);
  return [labels, quoted](std::string_view key, std::span<const Quote> quotes) -> std::optional<std::string> {
    std::string texts;
    bool known = true;
    for (const Message& label : labels) {
      std::string filled = label.fill([&](std::string_view wanted) {
        Quote quote = quote_of(wanted, key, quotes, quoted);
        const double* number = std::get_if<double>(&quote);
        known = known && !std::holds_alternative<std::monostate>(quote) && !(number && is_null(*number));
        return quote;
      });
      if (!known || filled.empty()) return std::nullopt;
      texts += fmt::format("{}:{}", filled.size(), filled);
    }
    return texts;
  };
}

void inhibit(std::size_t target, const InhibitorOptions& by, Compiled& to) {
  std::vector<RulePlan>& rules = to.plan.rules;
  auto named = std::find_if(rules.begin(), rules.end(), [&](const RulePlan& rule) { return rule.name == by.rule; });
  assert(named != rules.end());
  const auto source = static_cast<std::size_t>(named - rules.begin());
  if (by.equal.empty()) return rules[target].inhibitors.push_back(source);

  std::vector<Inhibition>& all = to.plan.inhibitions;
  const Inhibition one{source, by.equal};
  const auto place = static_cast<std::size_t>(std::find(all.begin(), all.end(), one) - all.begin());
  if (place == all.size()) {
    all.push_back(one);
    rules[source].across_keys.push_back({place, true, texts_of(to.texts[source], by.equal, to.quoted)});
  }
  std::vector<InhibitionPart>& parts = rules[target].across_keys;
  if (std::none_of(parts.begin(), parts.end(), [&](const InhibitionPart& part) { return part.inhibition == place; }))
    parts.push_back({place, false, texts_of(to.texts[target], by.equal, to.quoted)});
}

}  // namespace

void compile_inhibition(const Options& options, Compiled& to) {
  for (std::size_t i = 0; i < options.rules.size(); ++i)
    for (const InhibitorOptions& by : options.rules[i].second.inhibited_by) inhibit(i, by, to);
  if (!options.no_data) return;
  for (const InhibitorOptions& by : options.no_data->inhibited_by) inhibit(options.rules.size(), by, to);
}

}  // namespace millrace::alert
