#include "runner/supervise/stage_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace millrace::supervise {
namespace {

/// How long a due tick waits for queued input to be worked off first: what has arrived before a moment is judged before the
/// moment is.
constexpr Duration tick_patience = 5ms;

template <class F>
auto on(AnyStage& stage, F&& f) {
  return std::visit([&](auto& s) { return f(*s); }, stage);
}

template <class F>
auto on(const AnyStage& stage, F&& f) {
  return std::visit([&](const auto& s) { return f(std::as_const(*s)); }, stage);
}

}  // namespace

StageRunner::StageRunner(std::string id, AnyStage stage, std::shared_ptr<StageHost> host, std::uint64_t seed)
    : id_(std::move(id)), stage_(std::move(stage)), host_(std::move(host)), backoff_(seed) {
  host_->figures().connected.set(0);
}

void StageRunner::already_connected() {
  tried_ = true;
  condition_ = Condition::running;
  tick_wanted_ = true;
  host_->figures().connected.set(ready() ? 1 : 0);
}

void StageRunner::succeed(StageRunner& former) {
  inputs_ = former.inputs_;
  ended_ = former.ended_;
  input_end_ = former.input_end_;
  held_ = std::exchange(former.held_, std::nullopt);
  if (is_source()) held_.reset();
}

// The figures may be a successor's by now.
StageRunner::~StageRunner() { host_->wakes()->move_to(nullptr); }

void StageRunner::wire(std::vector<link::Link*> inputs, std::vector<Output> outputs) {
  std::vector<bool> ended;
  for (link::Link* input : inputs) {
    auto before = std::find(inputs_.begin(), inputs_.end(), input);
    ended.push_back(before != inputs_.end() && ended_[static_cast<std::size_t>(before - inputs_.begin())]);
  }
  inputs_ = std::move(inputs);
  ended_ = std::move(ended);
  outputs_ = std::move(outputs);
  next_input_ = 0;
}

std::string StageRunner::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

bool StageRunner::post(std::function<void(AnyStage&)> task) {
  {
    std::lock_guard lock(mutex_);
    Condition condition = condition_.load();
    if (condition == Condition::done || condition == Condition::failed) return false;
    tasks_.push_back(std::move(task));
    has_tasks_.store(true);
  }
  host_->wakes()->wake();
  return true;
}

bool StageRunner::run_tasks() {
  if (!has_tasks_.exchange(false)) return false;
  std::vector<std::function<void(AnyStage&)>> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (auto& task : tasks) task(stage_);
  tick_wanted_ = true;
  return true;
}

bool StageRunner::step(Time now) {
  bool moved = false;
  for (Output& output : outputs_) moved |= output.link->pump();
  if (host_->wakes()->take()) tick_wanted_ = true;
  if (retry_at_ && *retry_at_ <= now) retry_at_.reset();
  switch (condition_.load()) {
    case Condition::done:
    case Condition::failed: return moved;
    case Condition::connecting:
      if (end_asked_) return finish_unconnected(), true;
      if (retry_at_) return moved;
      return connect(now) || moved;
    case Condition::ending: return step_ending(now) || moved;
    case Condition::running: break;
  }
  moved |= run_tasks();
  if (end_asked_) return finish(end_), true;
  if (!inputs_.empty() && !held_ && all_inputs_ended()) return finish(input_end_), true;
  if (auto* source = std::get_if<std::unique_ptr<Source>>(&stage_)) return step_source(**source, now) || moved;
  if (auto* transform = std::get_if<std::unique_ptr<Transform>>(&stage_)) return step_transform(**transform, now) || moved;
  return step_sink(*std::get<std::unique_ptr<Sink>>(stage_), now) || moved;
}

bool StageRunner::connect(Time now) {
  Result<void> connected = on(stage_, [](auto& s) { return s.connect(); });
  if (!connected) {
    Error error = connected.error();
    if (error.kind == ErrorKind::finished && is_source()) {
      finish_unconnected();
    } else {
      // There is no record that could be rejected, and nothing here that could end: trying again would not help.
      if (error.kind == ErrorKind::rejected || error.kind == ErrorKind::finished) error.kind = ErrorKind::invalid;
      failed(error, now);
    }
    tried_ = true;
    return true;
  }
  already_connected();
  return true;
}

void StageRunner::worked(Time now, bool through) {
  backoff_.worked(now, through);
  if (!in_trouble_ || !(through || backoff_.failures() == 0)) return;
  in_trouble_ = false;
  host_->log(LogLevel::info, "works again");
}

bool StageRunner::tick_due(Time now, bool input_waits) {
  std::optional<Time> next = next_tick();
  if (!tick_wanted_ && !(next && *next <= now)) {
    due_since_.reset();
    return false;
  }
  if (!due_since_) due_since_ = now;
  if (input_waits && now - *due_since_ < tick_patience) return false;
  due_since_.reset();
  tick_wanted_ = false;
  return true;
}

bool StageRunner::step_source(Source& source, Time now) {
  if (outputs_full() || retry_at_ || !tick_due(now, false)) return false;
  Result<Batch> polled = source.poll();
  host_->figures().connected.set(polled && ready() ? 1 : 0);
  if (!polled) {
    host_->write_dead_letters({});
    if (polled.error().kind == ErrorKind::finished) {
      end_source(source);
      complete();
    } else {
      failed(polled.error(), now);
      tick_wanted_ = true;
    }
    return true;
  }
  Ack ack = std::move(polled->ack);
  bool something = !polled->empty() || !ack.empty();
  host_->write_dead_letters(ack);
  worked(now, something);
  if (!something) return false;
  tick_wanted_ = true;
  emit(std::move(*polled), std::move(ack));
  return true;
}

/// Has the next batch in hand, or takes the end of an input; true if either came.
bool StageRunner::receive_next() {
  std::optional<link::Envelope> envelope = wants_input() ? receive() : std::nullopt;
  if (!envelope) return false;
  if (!envelope->batch) return true;
  host_->figures().batches_in.add();
  host_->figures().records_in.add(envelope->batch->size());
  held_ = std::move(envelope);
  return true;
}

bool StageRunner::step_transform(Transform& transform, Time now) {
  bool moved = receive_next();
  if (moved && !held_) return true;
  bool input = can_handle();
  if (input) process(transform, *std::exchange(held_, std::nullopt), now);
  // Time goes on for a stage that must wait with its input, as long as what it says about it can be kept.
  if (condition_ == Condition::running && !outputs_clogged() && tick_due(now, input)) moved |= tick(transform, now);
  return moved || input || can_handle();
}

void StageRunner::process(Transform& transform, link::Envelope envelope, Time now) {
  host_->in_hand = std::move(envelope.ack);
  Batch batch = envelope.take();
  Result<Batch> out = transform.process(std::move(batch));
  Ack inherited = std::exchange(host_->in_hand, Ack{});
  if (!out) {
    link::Envelope rest;
    rest.batch = std::make_shared<Batch>(std::move(batch));
    rest.ack = std::move(inherited);
    return not_handled(std::move(rest), out.error(), now);
  }
  host_->write_dead_letters(inherited);
  worked(now, true);
  emit(std::move(*out), std::move(inherited));
}

bool StageRunner::tick(Transform& transform, Time now) {
  Result<Batch> out = transform.tick(now);
  host_->write_dead_letters({});
  if (!out) {
    failed(out.error(), now);
    return true;
  }
  bool something = !out->empty();
  emit(std::move(*out), {});
  return something;
}

bool StageRunner::step_sink(Sink& sink, Time now) {
  bool moved = receive_next();
  if (moved && !held_) return true;
  bool input = can_handle();
  if (input) write(sink, *std::exchange(held_, std::nullopt), now);
  // Also while a batch waits to be tried again: what makes room for it may be done in a tick.
  if (condition_ == Condition::running && tick_due(now, input)) tick(sink, now);
  return moved || input || can_handle();
}

void StageRunner::tick(Sink& sink, Time now) {
  Result<void> ticked = sink.tick(now);
  host_->write_dead_letters({});
  if (!ticked) failed(ticked.error(), now);
}

void StageRunner::write(Sink& sink, link::Envelope envelope, Time now) {
  const bool unawaited = envelope.ack.empty();
  host_->in_hand = unawaited ? host_->unawaited(envelope.batch->size()) : std::move(envelope.ack);
  Result<void> written = sink.write(*envelope.batch);
  Ack ack = std::exchange(host_->in_hand, Ack{});
  if (unawaited) ack.settle();
  if (written) {
    host_->write_dead_letters(ack);
    host_->figures().records_out.add(envelope.batch->size());
    worked(now, true);
    ack.settle();
    return;
  }
  envelope.ack = std::move(ack);
  not_handled(std::move(envelope), written.error(), now);
}

void StageRunner::not_handled(link::Envelope envelope, const Error& error, Time now) {
  if (error.kind == ErrorKind::rejected || error.kind == ErrorKind::finished) {
    for (const Record& record : envelope.batch->records) host_->reject(record, error);
    host_->write_dead_letters(envelope.ack);
    envelope.ack.settle();
    return;
  }
  // The whole batch comes again, and with it what was rejected of it.
  host_->forget_dead_letters();
  if (error.kind == ErrorKind::unavailable || error.kind == ErrorKind::overloaded) held_ = std::move(envelope);
  failed(error, now);
}

std::optional<link::Envelope> StageRunner::receive() {
  for (std::size_t tried = 0; tried < inputs_.size(); ++tried) {
    std::size_t i = next_input_;
    next_input_ = (next_input_ + 1) % inputs_.size();
    if (ended_[i]) continue;
    std::optional<link::Envelope> envelope = inputs_[i]->receive();
    if (!envelope) continue;
    if (!envelope->batch) {
      ended_[i] = true;
      if (envelope->end == End::shutdown) input_end_ = End::shutdown;
    }
    return envelope;
  }
  return std::nullopt;
}

bool StageRunner::wants_input() const { return condition_ == Condition::running && !held_ && !retry_at_ && !outputs_full(); }

bool StageRunner::can_handle() const {
  if (condition_ != Condition::running || !held_ || retry_at_ || outputs_full()) return false;
  if (auto* transform = std::get_if<std::unique_ptr<Transform>>(&stage_)) return (*transform)->wants_input();
  return std::get<std::unique_ptr<Sink>>(stage_)->wants_input();
}

bool StageRunner::outputs_clogged() const {
  return std::any_of(outputs_.begin(), outputs_.end(), [](const Output& o) { return o.link->clogged(); });
}

bool StageRunner::all_inputs_ended() const {
  return std::all_of(ended_.begin(), ended_.end(), [](bool e) { return e; });
}

bool StageRunner::outputs_full() const {
  return std::any_of(outputs_.begin(), outputs_.end(), [](const Output& o) { return o.link->full(); });
}

void StageRunner::failed(const Error& error, Time now) {
  host_->figures().errors.add();
  if (condition_ == Condition::ending) {
    host_->log(LogLevel::warning, error.what);
    return;
  }
  switch (error.kind) {
    case ErrorKind::invalid: {
      host_->log(LogLevel::error, error.what);
      std::lock_guard lock(mutex_);
      failure_ = error.what;
      condition_ = Condition::failed;
      host_->figures().connected.set(0);
      return;
    }
    case ErrorKind::unavailable:
      if (condition_ == Condition::running) host_->figures().reconnects.add();
      condition_ = Condition::connecting;
      host_->figures().connected.set(0);
      [[fallthrough]];
    case ErrorKind::overloaded:
      retry_at_ =
          backoff_.failed(now, error.kind == ErrorKind::unavailable ? Backoff::Lapse::connection : Backoff::Lapse::batch);
      in_trouble_ = true;
      host_->log(LogLevel::warning,
                 fmt::format("{}; again in {:.1f} s", error.what, std::chrono::duration<double>(*retry_at_ - now).count()));
      return;
    case ErrorKind::rejected:
    case ErrorKind::finished: host_->log(LogLevel::error, error.what); return;
  }
}

std::optional<Time> StageRunner::next_tick() const {
  return on(stage_, [](const auto& s) { return s.next_tick(); });
}

bool StageRunner::ready() const {
  auto* source = std::get_if<std::unique_ptr<Source>>(&stage_);
  return !source || (*source)->ready();
}

bool StageRunner::idle() const {
  if (auto* transform = std::get_if<std::unique_ptr<Transform>>(&stage_)) return (*transform)->idle();
  if (auto* sink = std::get_if<std::unique_ptr<Sink>>(&stage_)) return (*sink)->idle();
  return true;
}

std::optional<Time> StageRunner::deadline() const {
  Condition condition = condition_.load();
  if (condition == Condition::done || condition == Condition::failed) return std::nullopt;
  if (condition == Condition::connecting) return end_asked_ ? Time{} : retry_at_.value_or(Time{});
  if (condition == Condition::running && end_asked_) return Time{};
  if (is_source()) {
    if (retry_at_) return retry_at_;
    if (outputs_full()) return std::nullopt;
  }
  if (condition == Condition::running && outputs_clogged()) return retry_at_;
  if (tick_wanted_) return Time{};
  std::optional<Time> next = next_tick();
  return retry_at_ ? std::min(*retry_at_, next.value_or(*retry_at_)) : next;
}

}  // namespace millrace::supervise
