#include <cmath>
#include <utility>

#include "plugins/alert/key.h"
#include "plugins/alert/monitor.h"

namespace millrace::alert {

void Monitor::process(Key& key, Micros time, const double* inputs) {
  for (const RulePlan& rule : plan_.rules) look(key, rule, key.rules[index_of(rule)], time, inputs);
}

void Monitor::look(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs) {
  switch (rule.watch) {
    case Watch::silence:
    case Watch::trouble: return;
    case Watch::window: close_windows(key, rule, instance, time); return add_to_windows(key, rule, instance, time, inputs);
    default: break;
  }
  bool partial = false;
  figures_.clear();
  double value = derive(key, rule, instance, time, inputs, partial);
  if (tracing_ && rule.watch != Watch::value) output_.derived(rule, key.name, time, value);
  if (!rule.has_condition() || partial) return;
  evaluate(key, rule, instance, time, value, {value, nullptr, figures_, {}});
}

void Monitor::advance(Key& key, Micros watermark) {
  if (!key.rules) return;
  if (key.waiting && !key.waiting->empty())
    key.waiting->release(watermark, plan_.inputs, [&](Micros time, const double* inputs) { process(key, time, inputs); });
  for (const RulePlan& rule : plan_.rules) {
    Instance& instance = key.rules[index_of(rule)];
    if (instance.window.deadline() < watermark) close_windows(key, rule, instance, watermark);
    if (!rule.life.by_timer || !instance.alert) continue;
    Cause none;
    with(key, rule, instance, none);
    instance.alert->life.advance(rule.life, watermark, on_change_);
  }
}

void Monitor::close_windows(Key& key, const RulePlan& rule, Instance& instance, Micros before) {
  if (!rule.formula) {
    instance.window.advance(*rule.window, before, [&](const ClosedWindow& window) { closed(key, rule, instance, window); });
    return;
  }
  while (instance.window.deadline() < before) {
    ClosedWindow first;
    bool any = instance.window.close(*rule.window, first);
    if (any) closed_together(key, rule, instance, first);
    instance.window.leave(*rule.window);
    for (std::size_t i = 1; i < rule.parts.size(); ++i) {
      ClosedWindow other;
      if (!any) instance.further[i - 1].close(rule.parts[i].plan, other);
      instance.further[i - 1].leave(rule.parts[i].plan);
    }
  }
}

void Monitor::add_to_windows(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs) {
  ClosedWindow window;
  bool full = instance.window.take(*rule.window, time, inputs[rule.input], window);
  if (!rule.formula) {
    if (full) closed(key, rule, instance, window);
    return;
  }
  std::vector<double>& asked = asked_;
  asked.clear();
  if (full) window.contents->figures(rule.window->layout, rule.parts[0].aggregates, scratch_, asked);
  for (std::size_t i = 1; i < rule.parts.size(); ++i) {
    const WindowPart& part = rule.parts[i];
    ClosedWindow other;
    if (instance.further[i - 1].take(part.plan, time, inputs[part.input], other))
      other.contents->figures(part.plan.layout, part.aggregates, scratch_, asked);
  }
  if (!full) return;
  figures_.assign(1, work_out(key, rule));
  closed(key, rule, instance, window);
}

void Monitor::closed_together(Key& key, const RulePlan& rule, Instance& instance, ClosedWindow& first) {
  asked_.clear();
  first.contents->figures(rule.window->layout, rule.parts[0].aggregates, scratch_, asked_);
  for (std::size_t i = 1; i < rule.parts.size(); ++i) {
    ClosedWindow other;
    instance.further[i - 1].close(rule.parts[i].plan, other);
    other.contents->figures(rule.parts[i].plan.layout, rule.parts[i].aggregates, scratch_, asked_);
  }
  figures_.assign(1, first.partial ? null_value : work_out(key, rule));
  closed(key, rule, instance, first);
}

void Monitor::closed(Key& key, const RulePlan& rule, Instance& instance, const ClosedWindow& window) {
  if (!rule.formula) figures_of(rule, *window.contents);
  if (tracing_ || !rule.has_condition()) output_.window(rule, key.name, {window, figures_, now_});
  if (!rule.has_condition() || window.partial) return;
  evaluate(key, rule, instance, window.end, figures_.front(), {figures_.front(), &window, figures_, {}});
}

void Monitor::figures_of(const RulePlan& rule, const Slices& contents) {
  figures_.clear();
  contents.figures(rule.window->layout, rule.aggregates, scratch_, figures_);
}

double Monitor::work_out(Key& key, const RulePlan& rule) {
  Result<double> value = rule.formula->value(asked_);
  if (value) return *value;
  output_.failed(rule, key.name, value.error());
  meet(Trouble::script_error);
  return null_value;
}

double Monitor::trailing(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs, bool& partial) {
  ClosedWindow none;
  partial = instance.window.partial_at(time - rule.window->extent.size);
  instance.window.take(*rule.window, time, inputs[rule.input], none);
  if (!rule.formula) {
    figures_of(rule, instance.window.trailing(*rule.window, time));
    return figures_.front();
  }
  asked_.clear();
  instance.window.trailing(*rule.window, time).figures(rule.window->layout, rule.parts[0].aggregates, scratch_, asked_);
  for (std::size_t i = 1; i < rule.parts.size(); ++i) {
    const WindowPart& part = rule.parts[i];
    Window& window = instance.further[i - 1];
    window.take(part.plan, time, inputs[part.input], none);
    window.trailing(part.plan, time).figures(part.plan.layout, part.aggregates, scratch_, asked_);
  }
  figures_.assign(1, partial ? null_value : work_out(key, rule));
  return figures_.front();
}

double Monitor::zscore(const RulePlan& rule, Instance& instance, Micros time, double value, bool& partial) {
  partial = instance.window.partial_at(time - rule.window->extent.size);
  const Slices& before = instance.window.trailing(*rule.window, time);
  bool any = !before.empty();
  figures_of(rule, before);  // count, avg, stddev
  bool enough = any && figures_[0] >= static_cast<double>(rule.min_samples);
  double spread = enough ? std::max(figures_[2], rule.min_stddev) : 0;
  double score = is_null(value) || !(spread > 0) ? null_value : (value - figures_[1]) / spread;
  ClosedWindow none;
  instance.window.take(*rule.window, time, value, none);
  figures_.clear();
  return score;
}

double Monitor::derive(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs, bool& partial) {
  double value = inputs[rule.input];
  switch (rule.watch) {
    case Watch::trailing: return trailing(key, rule, instance, time, inputs, partial);
    case Watch::zscore: return zscore(rule, instance, time, value, partial);
    case Watch::ewma: {
      if (is_null(value)) return null_value;
      double alpha = is_null(instance.last_value)
                         ? 1
                         : -std::expm1(-static_cast<double>(time - instance.last_time) / static_cast<double>(rule.tau));
      instance.last_value = alpha == 1 ? value : instance.last_value + alpha * (value - instance.last_value);
      instance.last_time = time;
      return instance.last_value;
    }
    case Watch::changed: {
      if (is_null(value)) return null_value;
      double before = std::exchange(instance.last_value, value);
      return !is_null(before) && before != value ? 1 : 0;
    }
    case Watch::distance: {
      if (rule.max_accuracy && inputs[rule.input + 2] > *rule.max_accuracy) return null_value;
      return outside(rule.fence, {value, inputs[rule.input + 1]});
    }
    default: return value;
  }
}

void Monitor::evaluate(Key& key, const RulePlan& rule, Instance& instance, Micros at, double value, const Cause& cause) {
  if (!instance.alert) {
    bool calm = is_null(value) ? rule.life.on_null != OnNull::yes : next_level(rule.life.levels, 0, value) == 0;
    if (calm) return;
    alert(instance);
  }
  with(key, rule, instance, cause);
  instance.alert->life.evaluate(rule.life, at, value, on_change_);
}

}  // namespace millrace::alert
