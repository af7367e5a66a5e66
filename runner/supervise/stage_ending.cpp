#include <fmt/format.h>

#include <utility>

#include "runner/supervise/stage_runner.h"

// How a stage comes to its end.

namespace millrace::supervise {

void StageRunner::end_input(End end) {
  end_ = end;
  end_asked_ = true;
  host_->wakes()->wake();
}

void StageRunner::end_here(End end) {
  detached_ = true;
  end_input(end);
}

void StageRunner::finish_unconnected() {
  end_asked_ = false;
  if (auto* source = std::get_if<std::unique_ptr<Source>>(&stage_)) end_source(**source);
  complete();
}

/// What the source has left goes into the links even if they are full: it takes no more room there than where it was.
void StageRunner::end_source(Source& source) {
  source.stop();
  for (;;) {
    Result<Batch> rest = source.remaining();
    if (!rest) host_->log(LogLevel::error, fmt::format("did not end well: {}", rest.error().what));
    Ack ack = rest ? std::move(rest->ack) : Ack{};
    host_->write_dead_letters(ack);
    if (!rest || (rest->empty() && ack.empty())) return;
    emit(std::move(*rest), std::move(ack));
  }
}

void StageRunner::finish(End end) {
  end_ = end;
  end_asked_ = false;
  retry_at_.reset();
  condition_ = Condition::ending;
  if (auto* source = std::get_if<std::unique_ptr<Source>>(&stage_)) {
    end_source(**source);
    complete();
  } else if (auto* transform = std::get_if<std::unique_ptr<Transform>>(&stage_)) {
    Result<Batch> out = (*transform)->finish(end);
    host_->write_dead_letters({});
    if (out)
      emit(std::move(*out), {});
    else
      host_->log(LogLevel::error, fmt::format("did not end well: {}", out.error().what));
  } else {
    Result<void> finished = std::get<std::unique_ptr<Sink>>(stage_)->finish(end);
    host_->write_dead_letters({});
    if (!finished) host_->log(LogLevel::error, fmt::format("did not end well: {}", finished.error().what));
  }
  tick_wanted_ = true;
}

void StageRunner::complete() {
  if (!detached_) {
    for (Output& output : outputs_) {
      link::Envelope last;
      last.end = end_;
      output.link->send(std::move(last));
    }
  }
  bool connected = condition_.exchange(Condition::done) != Condition::connecting;
  if (connected) run_tasks();  // what was asked before it was done
  host_->tell_left_out();
  host_->figures().connected.set(0);
}

bool StageRunner::step_ending(Time now) {
  run_tasks();
  bool moved = false;
  if (tick_due(now, false)) {
    if (auto* transform = std::get_if<std::unique_ptr<Transform>>(&stage_)) moved = tick(**transform, now);
    if (auto* sink = std::get_if<std::unique_ptr<Sink>>(&stage_)) tick(**sink, now);
  }
  if (!idle()) return moved;
  complete();
  return true;
}

}  // namespace millrace::supervise
