#include "runner/supervise/running_pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "runner/stage/connects_beside.h"
#include "runner/supervise/spool.h"

namespace millrace::supervise {
namespace {

/// How long the stages that a reload replaces may take, together, to bring their state to safety.
constexpr Duration replace_patience = 3s;

std::vector<std::string> notified_by(const graph::Pipeline& pipeline, std::size_t index) {
  std::vector<std::string> ids;
  for (std::size_t reader : pipeline.readers_of(index))
    if (pipeline.stages[reader].plugin->tells_people) ids.push_back(pipeline.stages[reader].id);
  return ids;
}

/// Equal for two versions of a pipeline if the running stage can simply stay.
std::string identity_of(const graph::Pipeline& pipeline, std::size_t index) {
  std::string text = pipeline.stages[index].plugin->name + "\n" + pipeline.stages[index].fingerprint;
  for (const std::string& id : notified_by(pipeline, index)) text += "\n" + id;
  return text;
}

/// Everything about a link but what is queued in it.
std::string link_mark(const graph::Stage& sender, const graph::Stage& reader, bool one_thread) {
  return fmt::format("{} {} {} {} {} {} {} {}", one_thread, static_cast<int>(reader.on_full), reader.queue.records,
                     reader.queue.bytes.count, reader.spool.limit.count, static_cast<int>(reader.spool.sync), sender.id,
                     reader.id);
}

store::Inbox::Sync sync_of(graph::SpoolSync sync) {
  switch (sync) {
    case graph::SpoolSync::os: return store::Inbox::Sync::os;
    case graph::SpoolSync::timed: return store::Inbox::Sync::timed;
    case graph::SpoolSync::always: return store::Inbox::Sync::always;
  }
  return store::Inbox::Sync::os;
}

}  // namespace

std::string RunningPipeline::worker_name(const graph::Stage& stage) {
  return stage.threading == Threading::own ? stage.id : std::string(shared_worker);
}

RunningPipeline::RunningPipeline(graph::Pipeline pipeline, std::shared_ptr<Services> services, std::function<void()> on_change)
    : name_(pipeline.name), services_(std::move(services)), on_change_(std::move(on_change)) {
  build(std::move(pipeline), {}, {});
}

RunningPipeline::~RunningPipeline() {
  give_up();
  for (auto& [name, worker] : workers_) worker->stop();
  // Envelopes refuse their Acks, which sources may still hear of.
  links_.clear();
  slots_.clear();
}

RunningPipeline::Made RunningPipeline::make(const graph::Pipeline& pipeline, std::size_t index) {
  const graph::Stage& stage = pipeline.stages[index];
  auto& figures = figures_[stage.id];
  if (!figures) figures = std::make_shared<StageFigures>();
  Made made;
  made.host = std::make_shared<StageHost>(pipeline.name, stage.id, notified_by(pipeline, index), services_, figures);
  made.stage = stage.make(Context(made.host));
  made.beside = std::visit([](auto& s) { return dynamic_cast<ConnectsBeside*>(s.get()) != nullptr; }, made.stage);
  return made;
}

bool RunningPipeline::waits_aside(const graph::Pipeline& pipeline, std::size_t index) const {
  auto found = set_aside_.find(pipeline.stages[index].id);
  return found != set_aside_.end() && found->second.identity == identity_of(pipeline, index);
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
    if (made.beside) {
      Result<void> connected = std::visit([](auto& s) { return s->connect(); }, made.stage);
      made.connected = connected.has_value();
      bool away =
          !connected && (connected.error().kind == ErrorKind::unavailable || connected.error().kind == ErrorKind::overloaded);
      if (!connected && !away) return invalid(fmt::format("{} '{}': {}", stage.plugin->name, stage.id, connected.error().what));
    }
    prepared.emplace(stage.id, std::move(made));
  }
  return prepared;
}

void RunningPipeline::build(graph::Pipeline next, std::map<std::string, Slot> former, std::map<std::string, Made> prepared) {
  std::map<std::string, std::string> identities;
  for (std::size_t i = 0; i < definition_.stages.size(); ++i)
    identities[definition_.stages[i].id] = identity_of(definition_, i);
  definition_ = std::move(next);
  set_recorder();
  slots_.clear();
  for (std::size_t i = 0; i < definition_.stages.size(); ++i) {
    const graph::Stage& stage = definition_.stages[i];
    Slot slot{stage, nullptr, worker_name(stage)};
    auto old = former.find(stage.id);
    begin(slot, i, old == former.end() ? nullptr : &old->second, prepared);
    if (!workers_.contains(slot.worker))
      workers_[slot.worker] = std::make_unique<Worker>(slot.worker, *services_->clock, on_change_);
    slots_.push_back(std::move(slot));
  }
  for (auto& [id, slot] : former)
    if (slot.runner) set_aside(slot, identities[id]);
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
void RunningPipeline::set_aside(Slot& slot, std::string identity) {
  if (!slot.beside || slot.runner->condition() != Condition::running || set_aside_.contains(slot.definition.id)) return;
  slot.runner->wire({}, {});
  slot.runner->host().wakes()->move_to(nullptr);
  set_aside_[slot.definition.id] = {std::move(slot.runner), std::move(identity)};
}

void RunningPipeline::keep() { set_aside_.clear(); }

void RunningPipeline::link() {
  auto old = std::exchange(links_, {});
  for (std::size_t reader = 0; reader < slots_.size(); ++reader) {
    for (std::size_t sender : slots_[reader].definition.from) {
      LinkKey key{slots_[sender].definition.id, slots_[reader].definition.id};
      bool one_thread = slots_[sender].worker == slots_[reader].worker;
      std::string mark = link_mark(slots_[sender].definition, slots_[reader].definition, one_thread);
      auto before = old.find(key);
      if (before != old.end() && before->second.mark == mark) {
        links_[key] = std::move(before->second);
        continue;
      }
      const graph::Stage& stage = slots_[reader].definition;
      std::deque<link::Envelope> waiting;
      if (before != old.end()) {
        waiting = before->second.link->drain();
        before->second.link.reset();  // and with it the right to its spool
      }
      auto made = std::make_unique<link::Link>(one_thread ? link::Link::Ends::one_thread : link::Link::Ends::two_threads,
                                               link::Limits{stage.queue.records, stage.queue.bytes.count}, stage.on_full,
                                               spool_of(slots_[sender].definition, stage));
      auto& figures = *figures_[stage.id];
      made->counters().dropped_oldest = &figures.dropped("drop_oldest");
      made->counters().dropped_newest = &figures.dropped("drop_newest");
      made->counters().conflated = &figures.dropped("conflated");
      bool ended = false;
      for (link::Envelope& envelope : waiting) {
        ended |= !envelope.batch;
        made->send(std::move(envelope));
      }
      if (slots_[sender].runner->condition() == Condition::done && !ended) made->send({});
      links_[key] = {std::move(made), std::move(mark)};
    }
  }
  for (auto& [key, gone] : old) {
    if (!gone.link) continue;
    // A reader that is still there gets it again by the new way; for one that is gone it was meant no longer.
    bool reader_remains =
        std::any_of(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.definition.id == key.second; });
    for (link::Envelope& envelope : gone.link->drain()) {
      if (reader_remains) continue;
      if (envelope.batch) figures_[key.second]->dropped("stage_removed").add(envelope.batch->size());
      envelope.ack.settle();
    }
  }
}

/// Also where the policy is another now, if a former one has left something.
std::unique_ptr<link::Spool> RunningPipeline::spool_of(const graph::Stage& sender, const graph::Stage& reader) {
  if (services_->data_folder.empty()) return nullptr;
  std::filesystem::path folder = services_->data_folder / "spool" / name_ / (sender.id + "+" + reader.id);
  std::error_code error;
  if (reader.on_full != Overflow::spool && !std::filesystem::exists(folder, error)) return nullptr;
  store::Inbox::Options options;
  options.limit = reader.spool.limit.count;
  options.sync = sync_of(reader.spool.sync);
  options.log = [log = services_->log, name = name_ + "/" + reader.id](LogLevel level, std::string_view text) {
    if (log) log(level, fmt::format("{}: {}", name, text));
  };
  return std::make_unique<DiskSpool>(std::move(folder), std::move(options), *services_, figures_[reader.id]);
}

void RunningPipeline::wire(const std::string& worker) {
  workers_[worker]->stages.clear();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.worker != worker) continue;
    std::vector<link::Link*> inputs;
    for (std::size_t sender : slot.definition.from)
      inputs.push_back(links_[{slots_[sender].definition.id, slot.definition.id}].link.get());
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
    if (slot.runner->condition() == Condition::failed)
      return fmt::format("{} '{}': {}", slot.definition.plugin->name, slot.definition.id, slot.runner->failure());
  return std::nullopt;
}

namespace {

/// For each thread, what lives on it and how that is wired: threads for which it is the same in two versions need not stand
/// still.
std::map<std::string, std::string> layout(const graph::Pipeline& pipeline,
                                          const std::function<std::string(const graph::Stage&)>& worker) {
  std::map<std::string, std::string> threads;
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i) {
    const graph::Stage& stage = pipeline.stages[i];
    std::string& text = threads[worker(stage)];
    text += stage.id + "\n" + identity_of(pipeline, i) + "\n";
    if (stage.plugin->role == Role::source && pipeline.record)
      text += fmt::format("recorded {} {}\n", pipeline.record->keep.count(), pipeline.record->limit.count);
    auto add_link = [&](const graph::Stage& from, const graph::Stage& to) {
      text += link_mark(from, to, worker(from) == worker(to)) + (to.plugin->tells_people ? " told\n" : "\n");
    };
    for (std::size_t from : stage.from) add_link(pipeline.stages[from], stage);
    for (std::size_t reader : pipeline.readers_of(i)) add_link(stage, pipeline.stages[reader]);
  }
  return threads;
}

}  // namespace

std::string RunningPipeline::version_of(const graph::Pipeline& pipeline) {
  std::string version;
  for (const auto& [worker, text] : layout(pipeline, worker_name)) version += worker + "\n" + text + "\n";
  return version;
}

void RunningPipeline::mark_replaced(const graph::Pipeline& next) {
  std::map<std::string, std::string> identities;
  for (std::size_t i = 0; i < next.stages.size(); ++i) identities[next.stages[i].id] = identity_of(next, i);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    auto found = identities.find(slots_[i].definition.id);
    slots_[i].replaced = found == identities.end() || found->second != identity_of(definition_, i) ||
                         slots_[i].runner->condition() == Condition::failed;
    // A source that has come to its end does not begin again.
    if (slots_[i].runner->is_source() && slots_[i].runner->condition() == Condition::done)
      slots_[i].replaced = found == identities.end();
  }
}

Result<void> RunningPipeline::reload(graph::Pipeline next) {
  auto before = layout(definition_, worker_name);
  auto after = layout(next, worker_name);
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
