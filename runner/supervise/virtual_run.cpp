#include "runner/supervise/virtual_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "runner/stage/rehearsal.h"

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

namespace {

/// Stands where a sink was.
class Capture final : public Sink {
 public:
  Result<void> write(const Batch&) override { return {}; }
};

/// The transform as what it is besides, or null.
template <class Role>
Role* as(AnyStage& stage) {
  auto* transform = std::get_if<std::unique_ptr<Transform>>(&stage);
  return transform ? dynamic_cast<Role*>(transform->get()) : nullptr;
}

}  // namespace

VirtualRun::VirtualRun(const graph::Pipeline& pipeline, Time start, Observer observer,
                       std::function<void(LogLevel, std::string_view)> log, Trace* trace, Passing passing)
    : pipeline_(pipeline),
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
      return invalid(fmt::format("{} '{}': {}", pipeline_.stages[i].plugin->name, runners_[i]->id(), runners_[i]->failure()));
  return {};
}

void VirtualRun::make() {
  for (std::size_t i = 0; i < pipeline_.stages.size(); ++i) {
    const graph::Stage& stage = pipeline_.stages[i];
    std::vector<std::string> notified;
    for (std::size_t reader : pipeline_.readers_of(i))
      if (pipeline_.stages[reader].plugin->tells_people) notified.push_back(pipeline_.stages[reader].id);
    auto host =
        std::make_shared<StageHost>(pipeline_.name, stage.id, std::move(notified), services_, std::make_shared<StageFigures>());
    AnyStage made;
    if (stage.plugin->role == Role::source) {
      auto feed = std::make_unique<Feed>(host->waker());
      if (feeds_.empty()) first_source_ = stage.id;
      feeds_[stage.id] = feed.get();
      made = std::move(feed);
    } else if (stage.plugin->role == Role::sink) {
      made = std::make_unique<Capture>();
    } else {
      made = stage.make(Context(host));
    }
    runners_.push_back(std::make_unique<StageRunner>(stage.id, std::move(made), std::move(host), i));
    runners_.back()->observe([this, id = stage.id](const Batch& batch) { observer_(id, batch, clock_.now()); });
  }
  std::vector<std::vector<link::Link*>> inputs(runners_.size());
  std::vector<std::vector<StageRunner::Output>> outputs(runners_.size());
  for (std::size_t i = 0; i < pipeline_.stages.size(); ++i) {
    const graph::Stage& stage = pipeline_.stages[i];
    for (std::size_t from : stage.from) {
      // What a queue would drop under load says nothing about a rule: here nothing is ever full.
      links_.push_back(std::make_unique<link::Link>(link::Link::Ends::one_thread, link::Limits{}, Overflow::block));
      inputs[i].push_back(links_.back().get());
      outputs[from].push_back({links_.back().get(), stage.id, stage.plugin->tells_people});
    }
  }
  for (std::size_t i = 0; i < runners_.size(); ++i) runners_[i]->wire(std::move(inputs[i]), std::move(outputs[i]));
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

template <class Desk, class F>
Result<void> VirtualRun::at_desks(F&& f) {
  Result<void> result = invalid("the pipeline has no stage that keeps alerts");
  bool accepted = false;
  for (auto& runner : runners_) {
    runner->post([&](AnyStage& stage) {
      auto* desk = as<Desk>(stage);
      if (!desk) return;
      Result<void> answer = f(*desk);
      if (!accepted) result = answer;  // one that knows it is enough
      accepted = accepted || answer.has_value();
    });
  }
  settle();
  return result;
}

Result<void> VirtualRun::acknowledge(std::string_view key, std::string_view rule, std::string_view by) {
  return at_desks<AlertDesk>([&](AlertDesk& desk) { return desk.acknowledge(key, rule, by, clock_.now()); });
}

Result<void> VirtualRun::silence(const Silence& silence) {
  return at_desks<SilenceDesk>([&](SilenceDesk& desk) { return desk.silence(silence, clock_.now()); });
}

Result<void> VirtualRun::unsilence(const Silence& which) {
  return at_desks<SilenceDesk>([&](SilenceDesk& desk) { return desk.unsilence(which, clock_.now()); });
}

Result<void> VirtualRun::restart(Time down, Time up, Windows windows) {
  if (down < clock_.now()) return invalid("a restart takes nothing back: its `down` lies before what has happened already");
  if (up < down) return invalid("a restart's `up` lies before its `down`");
  advance(down);
  // One step each: they save what they keep, and what fell due at this moment is for their successors.
  for (auto& runner : runners_) {
    runner->end_here(End::shutdown);
    runner->step(clock_.now());
  }
  emitted_before_ = emitted();
  rejected_before_ = rejected();
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
