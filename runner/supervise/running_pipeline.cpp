#include "runner/supervise/running_pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "runner/stage/connects_beside.h"
#include "runner/stage/preflight.h"

namespace millrace::supervise {
namespace {

/// How long the stages that a reload replaces may take, together, to bring their state to safety.
constexpr Duration replace_patience = 3s;

/// Why a stage refuses, with its place, so that it is found as what `check` tells of is.
std::string refusal(const graph::Pipeline& pipeline, const graph::Stage& stage, std::string_view why) {
  std::string what = fmt::format("{} '{}': {}", stage.plugin->name, stage.id, why);
  return pipeline.file.empty() ? what : config::Problem{pipeline.file.string(), stage.position, std::move(what)}.text();
}

}  // namespace

RunningPipeline::RunningPipeline(graph::Pipeline pipeline, std::shared_ptr<Services> services, std::function<void()> on_change)
    : name_(pipeline.name), services_(std::move(services)), on_change_(std::move(on_change)) {
  build(std::move(pipeline), {}, {});
}

RunningPipeline::~RunningPipeline() {
  give_up();
  for (auto& [name, worker] : workers_) worker->stop();
  std::uint64_t lost = count_lost();
  // Envelopes refuse their Acks, which sources may still hear of.
  const std::uint64_t before = unfinished();
  links_.clear();
  slots_.clear();
  lost += unfinished() - before;
  if (lost == 0) return;
  if (services_->log)
    services_->log(LogLevel::warning,
                   fmt::format("{}: ended with {} records under way that no source keeps; they are lost", name_, lost));
  if (services_->on_lost) services_->on_lost(name_, lost);
}

/// What stages had taken and let go of, which no source offers again.
std::uint64_t RunningPipeline::unfinished() const {
  std::uint64_t records = 0;
  for (const auto& [id, figures] : figures_) records += figures->dropped_for(unfinished_work);
  return records;
}

/// With all threads stopped: what sources have received and not emitted, what waits in links and what stages have in hand, as
/// far as nobody waits for its settlement. A link that spools brings its own to the disk.
std::uint64_t RunningPipeline::count_lost() {
  std::uint64_t lost = 0;
  for (Slot& slot : slots_) {
    if (!slot.runner->is_source() || slot.runner->condition() == Condition::done) continue;
    slot.runner->end_here(End::shutdown);
    slot.runner->step(services_->clock->now());
  }
  for (auto& [key, made] : links_) lost += made.link->unkept();
  for (Slot& slot : slots_) lost += slot.runner->unkept();
  return lost;
}

RunningPipeline::Made RunningPipeline::make(const graph::Pipeline& pipeline, std::size_t index) {
  const graph::Stage& stage = pipeline.stages[index];
  auto& figures = figures_[stage.id];
  if (!figures) figures = std::make_shared<StageFigures>();
  Made made;
  made.host = std::make_shared<StageHost>(pipeline.name, stage.id, stage_shape(pipeline, index).notified, services_, figures);
  made.stage = stage.make(Context(made.host));
  made.beside = std::visit([](auto& s) { return dynamic_cast<ConnectsBeside*>(s.get()) != nullptr; }, made.stage);
  return made;
}

bool RunningPipeline::waits_aside(const graph::Pipeline& pipeline, std::size_t index) const {
  auto found = set_aside_.find(pipeline.stages[index].id);
  return found != set_aside_.end() && found->second.shape == stage_shape(pipeline, index);
}

/// Connects a stage that can be while the present ones go on, or asks it whether it will; an error is a refusal.
Result<void> RunningPipeline::try_ahead(Made& made) {
  if (auto* preflight = std::visit([](auto& s) { return dynamic_cast<Preflight*>(s.get()); }, made.stage))
    return preflight->preflight();
  if (!made.beside) return {};
  Result<void> connected = std::visit([](auto& s) { return s->connect(); }, made.stage);
  made.connected = connected.has_value();
  bool away =
      !connected && (connected.error().kind == ErrorKind::unavailable || connected.error().kind == ErrorKind::overloaded);
  return away ? Result<void>() : connected;
}

/// Makes the stages of `next` that do not run yet, and connects those that can be while the present ones go on.
Result<std::map<std::string, RunningPipeline::Made>> RunningPipeline::prepare(const graph::Pipeline& next) {
  std::map<std::string, Made> prepared;
  for (std::size_t i = 0; i < next.stages.size(); ++i) {
    const graph::Stage& stage = next.stages[i];
    bool stays =
        std::any_of(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.definition.id == stage.id && !s.replaced; });
    if (stays || waits_aside(next, i)) continue;
    Made made = make(next, i);
    if (Result<void> tried = try_ahead(made); !tried) return invalid(refusal(next, stage, tried.error().what));
    prepared.emplace(stage.id, std::move(made));
  }
  return prepared;
}

void RunningPipeline::build(graph::Pipeline next, std::map<std::string, Slot> former, std::map<std::string, Made> prepared) {
  std::map<std::string, StageShape> shapes = stage_shapes(definition_);
  definition_ = std::move(next);
  set_recorder();
  slots_.clear();
  for (std::size_t i = 0; i < definition_.stages.size(); ++i) {
    const graph::Stage& stage = definition_.stages[i];
    Slot slot{stage, nullptr, worker_of(stage)};
    auto old = former.find(stage.id);
    begin(slot, i, old == former.end() ? nullptr : &old->second, prepared);
    if (!workers_.contains(slot.worker))
      workers_[slot.worker] = std::make_unique<Worker>(slot.worker, *services_->clock, on_change_);
    slots_.push_back(std::move(slot));
  }
  for (auto& [id, slot] : former) {
    if (slot.runner) set_aside(slot, shapes[id]);
    if (slot.runner) count_removed(*slot.runner);
  }
  link();
}

/// Gives a slot the runner that it had, the one that was set aside, or the new one.
void RunningPipeline::begin(Slot& slot, std::size_t index, Slot* former, std::map<std::string, Made>& prepared) {
  if (former && !former->replaced) {
    slot.runner = std::move(former->runner);
    slot.beside = former->beside;
    return;
  }
  const std::string& id = slot.definition.id;
  if (waits_aside(definition_, index)) {
    slot.runner = std::move(set_aside_.extract(id).mapped().runner);
    slot.beside = true;
    slot.runner->already_connected();
  } else {
    auto found = prepared.find(id);
    Made made = found != prepared.end() ? std::move(found->second) : make(definition_, index);
    std::uint64_t seed = std::hash<std::string>{}(definition_.name + "/" + id) ^
                         static_cast<std::uint64_t>(services_->clock->now().time_since_epoch().count());
    slot.runner = std::make_unique<StageRunner>(id, std::move(made.stage), std::move(made.host), seed);
    slot.beside = made.beside;
    if (made.connected) slot.runner->already_connected();
  }
  if (former) slot.runner->succeed(*former->runner);
}

/// Keeps a replaced stage as it is, if it works and the version before it is not kept already.
void RunningPipeline::set_aside(Slot& slot, StageShape shape) {
  if (!slot.beside || slot.runner->condition() != Condition::running || set_aside_.contains(slot.definition.id)) return;
  slot.runner->wire({}, {});
  slot.runner->host().wakes()->move_to(nullptr);
  set_aside_[slot.definition.id] = {std::move(slot.runner), std::move(shape)};
}

/// A batch that a stage had in hand and no successor takes.
void RunningPipeline::count_removed(const StageRunner& runner) {
  if (std::uint64_t records = runner.unkept(); records > 0) figures_[runner.id()]->dropped("stage_removed").add(records);
}

void RunningPipeline::keep() {
  for (const auto& [id, aside] : set_aside_) count_removed(*aside.runner);
  set_aside_.clear();
}

void RunningPipeline::wire(const std::string& worker) {
  workers_[worker]->stages.clear();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.worker != worker) continue;
    std::vector<link::Link*> inputs;
    for (std::size_t sender : slot.definition.from)
      inputs.push_back(links_[{slots_[sender].definition.id, slot.definition.id}].link.get());
    for (const auto& [key, made] : links_) {
      if (!made.leftover || key.second != slot.definition.id) continue;
      made.link->sender_is(slot.runner->host().waker());
      inputs.push_back(made.link.get());
    }
    std::vector<StageRunner::Output> outputs;
    for (std::size_t reader : definition_.readers_of(i)) {
      const graph::Stage& to = slots_[reader].definition;
      link::Link* output = links_[{slot.definition.id, to.id}].link.get();
      output->sender_is(slot.runner->host().waker());
      outputs.push_back({output, to.id, to.plugin->tells_people});
    }
    slot.runner->wire(std::move(inputs), std::move(outputs));
    if (slot.runner->is_source()) {
      StageRunner::Observer observer;
      if (recorder_)
        observer = [recorder = recorder_.get(), id = slot.definition.id,
                    figures = figures_[slot.definition.id]](const Batch& batch) { recorder->take(id, batch, figures); };
      slot.runner->observe(std::move(observer));
    }
    workers_[worker]->stages.push_back(slot.runner.get());
  }
}

void RunningPipeline::set_recorder() {
  const auto& wanted = definition_.record;
  if (recorder_ && wanted && recorder_->options() == *wanted) return;
  bool begins = !recorder_;
  recorder_.reset();
  if (wanted && !services_->data_folder.empty())
    recorder_ = std::make_unique<Recorder>(Recorder::Place{services_->data_folder, name_, services_->clock, services_->log},
                                           *wanted, begins);
}

void RunningPipeline::start() {
  for (auto& [name, worker] : workers_) {
    wire(name);
    worker->start();
  }
}

void RunningPipeline::drain(End end) {
  for (Slot& slot : slots_)
    if (slot.runner->is_source()) slot.runner->end_input(end);
}

void RunningPipeline::give_up() {
  for (Slot& slot : slots_) slot.runner->host().request_stop();
}

bool RunningPipeline::done() const {
  return std::all_of(slots_.begin(), slots_.end(), [](const Slot& s) {
    Condition c = s.runner->condition();
    return c == Condition::done || c == Condition::failed;
  });
}

bool RunningPipeline::settled() const {
  return std::none_of(slots_.begin(), slots_.end(), [](const Slot& s) { return !s.runner->tried(); });
}

std::optional<std::string> RunningPipeline::failure() const {
  for (const Slot& slot : slots_)
    if (slot.runner->condition() == Condition::failed) return refusal(definition_, slot.definition, slot.runner->failure());
  return std::nullopt;
}

void RunningPipeline::mark_replaced(const graph::Pipeline& next) {
  std::map<std::string, StageShape> shapes = stage_shapes(next);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    auto found = shapes.find(slots_[i].definition.id);
    slots_[i].replaced = found == shapes.end() || !(found->second == stage_shape(definition_, i)) ||
                         slots_[i].runner->condition() == Condition::failed;
    // A source that has come to its end does not begin again.
    if (slots_[i].runner->is_source() && slots_[i].runner->condition() == Condition::done)
      slots_[i].replaced = found == shapes.end();
  }
}

Result<void> RunningPipeline::reload(graph::Pipeline next) {
  Layout before = layout_of(definition_);
  Layout after = layout_of(next);
  mark_replaced(next);
  auto prepared = prepare(next);
  if (!prepared) {
    for (Slot& slot : slots_) slot.replaced = false;
    return prepared.error();
  }
  auto stands_still = [&](const std::string& worker) {
    bool replaces = std::any_of(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.replaced && s.worker == worker; });
    return replaces || !before.contains(worker) || !after.contains(worker) || before[worker] != after[worker];
  };
  for (Slot& slot : slots_)
    if (slot.replaced && !slot.beside) slot.runner->host().request_stop();
  std::set<std::string> still;
  for (auto& [name, worker] : workers_)
    if (stands_still(name)) still.insert(name);
  for (const std::string& name : still) workers_[name]->stop();

  Time give_up = services_->clock->now() + replace_patience;
  for (Slot& slot : slots_)
    if (slot.replaced && !slot.beside) end_replaced(*slot.runner, give_up);

  std::map<std::string, Slot> former;
  std::lock_guard lock(mutex_);
  for (Slot& slot : slots_) former.emplace(slot.definition.id, std::move(slot));
  build(std::move(next), std::move(former), std::move(*prepared));
  std::erase_if(workers_, [&](const auto& entry) { return !after.contains(entry.first); });
  for (auto& [name, worker] : workers_) {
    if (before.contains(name) && !still.contains(name)) continue;
    wire(name);
    worker->start();
  }
  return {};
}

void RunningPipeline::end_replaced(StageRunner& runner, Time give_up) {
  auto poller = std::make_shared<link::Poller>();
  runner.host().wakes()->move_to(poller);
  runner.end_here(End::shutdown);
  while (runner.condition() != Condition::done && runner.condition() != Condition::failed) {
    Time now = services_->clock->now();
    if (now >= give_up) {
      runner.host().log(LogLevel::error, "did not end in time for its successor");
      break;
    }
    if (!runner.step(now)) poller->wait(std::min(give_up - now, runner.deadline().value_or(give_up) - now));
  }
}

std::vector<StageView> RunningPipeline::views() const {
  std::lock_guard lock(mutex_);
  std::vector<StageView> views;
  for (const Slot& slot : slots_) {
    StageView view{definition_.name,
                   slot.definition.id,
                   slot.definition.plugin->name,
                   slot.definition.plugin->keeps_alerts,
                   slot.runner->condition(),
                   slot.runner->host().shared_figures(),
                   0,
                   0};
    for (const auto& [key, made] : links_) {
      if (key.second != slot.definition.id) continue;
      view.queued_records += made.link->counters().depth_records.value();
      view.queued_bytes += made.link->counters().depth_bytes.value();
    }
    views.push_back(std::move(view));
  }
  return views;
}

bool RunningPipeline::post(const std::string& stage, std::function<void(AnyStage&)> task) {
  std::lock_guard lock(mutex_);
  for (Slot& slot : slots_) {
    if (slot.definition.id != stage) continue;
    return slot.runner->post(std::move(task));
  }
  return false;
}

}  // namespace millrace::supervise
