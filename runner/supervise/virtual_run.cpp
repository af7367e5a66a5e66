#include "runner/supervise/virtual_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "runner/stage/broadcasts.h"
#include "runner/stage/rehearsal.h"
#include "runner/supervise/layout.h"

namespace millrace::supervise {

/// Stands where a source was.
class VirtualRun::Feed final : public Source {
 public:
  explicit Feed(Waker waker) : waker_(std::move(waker)) {}

  void push(Batch batch) {
    waiting_.push_back(std::move(batch));
    waker_.wake();
  }

  Result<Batch> poll() override {
    if (waiting_.empty()) return Batch{};
    Batch batch = std::move(waiting_.front());
    waiting_.pop_front();
    return batch;
  }

 private:
  Waker waker_;
  std::deque<Batch> waiting_;
};

/// Stands where a sink was. The sink itself is constructed, never connected, and only asked what it would send.
class VirtualRun::Capture final : public Sink {
 public:
  Capture(VirtualRun& run, std::string id, AnyStage stage) : run_(run), id_(std::move(id)), stage_(std::move(stage)) {
    if (auto* sink = std::get_if<std::unique_ptr<Sink>>(&stage_)) broadcasts_ = dynamic_cast<Broadcasts*>(sink->get());
  }

  Result<void> connect() override { return away(); }

  Result<void> write(const Batch& batch) override {
    if (auto there = away(); !there) return there;
    run_.observer_(Seen::taken, id_, batch, run_.now());
    if (!broadcasts_) return {};
    auto messages = broadcasts_->messages(batch);
    if (!messages) return messages.error();
    if (!messages->empty()) run_.observer_(Seen::sent, id_, *messages, run_.now());
    return {};
  }

 private:
  Result<void> away() const {
    auto found = run_.outages_.find(id_);
    if (found == run_.outages_.end() || found->second <= run_.now()) return {};
    return unavailable(fmt::format("'{}' is away, as the script says", id_));
  }

  VirtualRun& run_;
  std::string id_;
  AnyStage stage_;
  Broadcasts* broadcasts_ = nullptr;
};

namespace {

/// The stages of a version that may stay in the next one. Where sources were, stand-ins are, which are all alike.
std::set<std::string> staying_stages(const graph::Pipeline& pipeline, const graph::Pipeline& next) {
  auto is_source = [](const graph::Stage& stage) { return stage.plugin->role == Role::source; };
  std::set<std::string> staying;
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i) {
    for (std::size_t k = 0; k < next.stages.size(); ++k) {
      if (pipeline.stages[i].id != next.stages[k].id) continue;
      bool sources = is_source(pipeline.stages[i]) && is_source(next.stages[k]);
      if (sources || stage_shape(pipeline, i) == stage_shape(next, k)) staying.insert(pipeline.stages[i].id);
    }
  }
  return staying;
}

/// The transform as what it is besides, or null.
template <class Role>
Role* as(AnyStage& stage) {
  auto* transform = std::get_if<std::unique_ptr<Transform>>(&stage);
  return transform ? dynamic_cast<Role*>(transform->get()) : nullptr;
}

}  // namespace

VirtualRun::VirtualRun(const graph::Pipeline& pipeline, Time start, Observer observer,
                       std::function<void(LogLevel, std::string_view)> log, Trace* trace, Passing passing)
    : name_(pipeline.name),
      pipeline_(&pipeline),
      clock_(start),
      passing_(passing),
      observer_(std::move(observer)),
      services_(std::make_shared<Services>()) {
  services_->clock = &clock_;
  services_->log = std::move(log);
  if (trace) services_->rooms[std::type_index(typeid(Trace))] = trace;
}

VirtualRun::~VirtualRun() {
  links_.clear();
  runners_.clear();
}

Result<void> VirtualRun::start() {
  auto store = store::Store::in_memory();
  if (!store) return store.error();
  store_ = std::move(*store);
  services_->store = store_.get();
  services_->rooms[std::type_index(typeid(store::Store))] = store_.get();
  make();
  settle();
  return refused();
}

Result<void> VirtualRun::refused() const {
  for (std::size_t i = 0; i < runners_.size(); ++i)
    if (runners_[i]->condition() == Condition::failed)
      return invalid(fmt::format("{} '{}': {}", pipeline_->stages[i].plugin->name, runners_[i]->id(), runners_[i]->failure()));
  return {};
}

std::unique_ptr<StageRunner> VirtualRun::make_stage(std::size_t index) {
  const graph::Stage& stage = pipeline_->stages[index];
  auto host = std::make_shared<StageHost>(name_, stage.id, stage_shape(*pipeline_, index).notified, services_,
                                          std::make_shared<StageFigures>());
  AnyStage made;
  if (stage.plugin->role == Role::source) {
    auto feed = std::make_unique<Feed>(host->waker());
    feeds_[stage.id] = feed.get();
    made = std::move(feed);
  } else if (stage.plugin->role == Role::sink) {
    made = std::make_unique<Capture>(*this, stage.id, stage.make(Context(host)));
  } else {
    made = stage.make(Context(host));
  }
  auto runner = std::make_unique<StageRunner>(stage.id, std::move(made), std::move(host), index);
  runner->observe([this, id = stage.id](const Batch& batch) { observer_(Seen::emitted, id, batch, clock_.now()); });
  return runner;
}

void VirtualRun::make(Runners kept, const Runners& former) {
  first_source_.clear();
  runners_.clear();
  for (std::size_t i = 0; i < pipeline_->stages.size(); ++i) {
    const graph::Stage& stage = pipeline_->stages[i];
    if (stage.plugin->role == Role::source && first_source_.empty()) first_source_ = stage.id;
    auto found = kept.find(stage.id);
    runners_.push_back(found != kept.end() ? std::move(found->second) : make_stage(i));
    if (auto old = former.find(stage.id); old != former.end()) runners_.back()->succeed(*old->second);
  }
  Links links;
  std::vector<std::vector<link::Link*>> inputs(runners_.size());
  std::vector<std::vector<StageRunner::Output>> outputs(runners_.size());
  for (std::size_t i = 0; i < pipeline_->stages.size(); ++i) {
    const graph::Stage& stage = pipeline_->stages[i];
    for (std::size_t from : stage.from) {
      // What a queue would drop under load says nothing about a rule: here nothing is ever full.
      auto& made = links[{pipeline_->stages[from].id, stage.id}];
      auto before = links_.find({pipeline_->stages[from].id, stage.id});
      if (before != links_.end()) made = std::move(before->second);
      if (!made) made = std::make_unique<link::Link>(link::Link::Ends::one_thread, link::Limits{}, Overflow::block);
      inputs[i].push_back(made.get());
      outputs[from].push_back({made.get(), stage.id, stage.plugin->tells_people});
    }
  }
  for (std::size_t i = 0; i < runners_.size(); ++i) runners_[i]->wire(std::move(inputs[i]), std::move(outputs[i]));
  links_ = std::move(links);
}

void VirtualRun::settle() {
  bool moved = true;
  while (moved) {
    moved = false;
    for (auto& runner : runners_) moved |= runner->step(clock_.now());
  }
}

void VirtualRun::advance(Time to) {
  if (passing_ == Passing::inputs) return clock_.set(std::max(to, clock_.now()));
  settle();
  while (clock_.now() < to) {
    Time next = to;
    for (const auto& runner : runners_)
      if (auto deadline = runner->deadline(); deadline && *deadline > clock_.now()) next = std::min(next, *deadline);
    clock_.set(next);
    if (next < to) settle();
  }
}

Result<void> VirtualRun::feed(Batch batch, const std::string& source) {
  const std::string& id = source.empty() ? first_source_ : source;
  auto found = feeds_.find(id);
  if (found == feeds_.end()) return invalid(fmt::format("there is no source '{}' to feed", id));
  for (const auto& runner : runners_)
    if (runner->id() == id && runner->condition() == Condition::done)
      return invalid("the input was over: a flush stands before");
  found->second->push(std::move(batch));
  settle();
  return {};
}

template <class Desk, class T, class F>
Result<void> VirtualRun::at_desks(F&& f) {
  // In virtual time commits are inline, so that the answer comes within the call.
  auto result = std::make_shared<Result<void>>(invalid("the pipeline has no stage that keeps alerts"));
  auto accepted = std::make_shared<bool>(false);
  for (auto& runner : runners_) {
    runner->post([=, &f](AnyStage& stage) {
      auto* desk = as<Desk>(stage);
      if (!desk) return;
      f(*desk, DeskAnswer<T>([=](const Result<T>& answer) {
        if (*accepted) return;  // one that knows it is enough
        *accepted = answer.has_value();
        *result = answer ? Result<void>{} : Result<void>(answer.error());
      }));
    });
  }
  settle();
  return *result;
}

Result<void> VirtualRun::acknowledge(const Acknowledgement& acknowledgement) {
  return at_desks<AlertDesk, std::vector<Acknowledged>>(
      [&](AlertDesk& desk, auto answer) { desk.acknowledge(acknowledgement, clock_.now(), std::move(answer)); });
}

Result<void> VirtualRun::silence(const Silence& silence) {
  return at_desks<SilenceDesk, Silence>(
      [&](SilenceDesk& desk, auto answer) { desk.silence(silence, clock_.now(), std::move(answer)); });
}

Result<void> VirtualRun::unsilence(const Silence& which) {
  return at_desks<SilenceDesk, std::vector<Silence>>(
      [&](SilenceDesk& desk, auto answer) { desk.unsilence(which, clock_.now(), std::move(answer)); });
}

Result<void> VirtualRun::restart(Time down, Time up, Windows windows) {
  if (down < clock_.now()) return invalid("a restart takes nothing back: its `down` lies before what has happened already");
  if (up < down) return invalid("a restart's `up` lies before its `down`");
  advance(down);
  // One step each: they save what they keep, and what fell due at this moment is for their successors.
  for (auto& runner : runners_) {
    runner->end_here(End::shutdown);
    runner->step(clock_.now());
    count(*runner);
  }
  links_.clear();
  runners_.clear();
  feeds_.clear();
  clock_.set(up);
  make();
  for (auto& runner : runners_) {
    runner->step(clock_.now());  // which connects it, no more
    if (windows == Windows::lost)
      runner->post([](AnyStage& stage) {
        if (auto* rehearsal = as<Rehearsal>(stage)) rehearsal->lose_windows();
      });
  }
  return refused();
}

void VirtualRun::count(StageRunner& ended) {
  emitted_before_[ended.id()] += ended.host().figures().records_out.value();
  rejected_before_[ended.id()] += ended.host().figures().rejected.value();
}

Result<void> VirtualRun::outage(const std::string& sink, Time until) {
  for (const graph::Stage& stage : pipeline_->stages) {
    if (stage.id != sink || stage.plugin->role != Role::sink) continue;
    outages_[sink] = until;
    return {};
  }
  return invalid(fmt::format("there is no sink '{}'", sink));
}

Result<void> VirtualRun::reload(std::shared_ptr<const graph::Pipeline> next) {
  settle();
  const std::set<std::string> staying = staying_stages(*pipeline_, *next);
  Runners kept, former;
  for (std::size_t i = 0; i < runners_.size(); ++i) {
    const std::string& id = pipeline_->stages[i].id;
    if (staying.contains(id)) {
      kept[id] = std::move(runners_[i]);
      continue;
    }
    auto& ended = *(former[id] = std::move(runners_[i]));
    ended.end_here(End::shutdown);
    while (ended.step(clock_.now())) {
    }
    count(ended);
    feeds_.erase(id);
  }
  reloaded_ = std::move(next);
  pipeline_ = reloaded_.get();
  make(std::move(kept), former);
  settle();
  return refused();
}

void VirtualRun::finish() {
  for (auto& [id, feed] : feeds_)
    for (auto& runner : runners_)
      if (runner->id() == id) runner->end_input(End::input_over);
  settle();
}

std::map<std::string, std::uint64_t> VirtualRun::emitted() const {
  std::map<std::string, std::uint64_t> counts = emitted_before_;
  for (const auto& runner : runners_) counts[runner->id()] += runner->host().figures().records_out.value();
  return counts;
}

std::map<std::string, std::uint64_t> VirtualRun::rejected() const {
  std::map<std::string, std::uint64_t> counts = rejected_before_;
  for (const auto& runner : runners_) counts[runner->id()] += runner->host().figures().rejected.value();
  return counts;
}

}  // namespace millrace::supervise
