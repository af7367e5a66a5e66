#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/graph/pipeline.h"
#include "runner/link/link.h"
#include "runner/stage/plugin.h"
#include "runner/supervise/backoff.h"
#include "runner/supervise/stage_host.h"

namespace millrace::supervise {

/// Where a stage stands.
enum class Condition {
  connecting,  ///< not yet, or no longer, connected; tries again by itself
  running,
  ending,  ///< its input is over; ticks until it is idle
  done,
  failed,  ///< refused to start, or cannot go on
};

/// Runs one stage between its links: connects it, hands it batches and ticks, carries out what its errors ask for, settles what
/// the stage does not. Belongs to one thread at a time; only end_input(), post(), condition(), tried() and failure() may
/// be called from another.
class StageRunner {
 public:
  /// Sees what a stage emits, before it goes into the links.
  using Observer = std::function<void(const Batch&)>;

  struct Output {
    link::Link* link;
    std::string reader;        ///< the receiving stage's id
    bool reader_tells_people;  ///< and whether it takes notifications rather than transitions
  };

  StageRunner(std::string id, AnyStage stage, std::shared_ptr<StageHost> host, std::uint64_t seed);
  ~StageRunner();

  const std::string& id() const { return id_; }
  StageHost& host() { return *host_; }

  /// The wiring; changes only while the stage's thread stands still.
  void wire(std::vector<link::Link*> inputs, std::vector<Output> outputs);
  const std::vector<link::Link*>& inputs() const { return inputs_; }
  const std::vector<Output>& outputs() const { return outputs_; }
  void observe(Observer observer) { observer_ = std::move(observer); }

  /// Does one piece of work, if there is any: a connection attempt, a batch, a tick. True if something has moved.
  bool step(Time now);

  /// When step() is to be called again at the latest, if nothing arrives and nobody wakes the stage.
  std::optional<Time> deadline() const;

  /// Ends a source from outside: no more is polled, what is on its way goes on. Any thread.
  void end_input(End end);

  /// Ends the stage where it stands, between two batches, for a successor with the same links: what is queued for it stays in
  /// them. step() it until its condition is done.
  void end_here(End end);

  /// The stage is connected already; its thread stands still.
  void already_connected();

  /// Takes over from the stage that this one replaces: which inputs are over, and a batch that had still to be tried again.
  void succeed(StageRunner& former);

  /// Records of a batch in hand that waits to be tried again and that no source would offer again.
  std::uint64_t unkept() const { return held_ && held_->batch && held_->ack.empty() ? held_->batch->size() : 0; }

  /// Whether a step() now would take input, if there is any.
  bool wants_input() const;

  bool is_source() const { return std::holds_alternative<std::unique_ptr<Source>>(stage_); }
  Condition condition() const { return condition_.load(); }
  std::string failure() const;
  bool tried() const { return tried_.load(); }  ///< has tried to connect

  /// Runs `task` with the stage on its own thread, once it is connected; false if the stage has ended or failed. Any thread.
  bool post(std::function<void(AnyStage&)> task);

 private:
  bool connect(Time now);
  bool step_source(Source& source, Time now);
  bool step_transform(Transform& transform, Time now);
  bool step_sink(Sink& sink, Time now);
  bool step_ending(Time now);
  bool run_tasks();
  void process(Transform& transform, link::Envelope envelope, Time now);
  void worked(Time now, bool through);
  bool tick_due(Time now, bool input_waits);
  bool tick(Transform& transform, Time now);
  void tick(Sink& sink, Time now);
  bool receive_next();
  std::optional<link::Envelope> receive();
  void write(Sink& sink, link::Envelope envelope, Time now);
  void not_handled(link::Envelope envelope, const Error& error, Time now);
  void emit(Batch batch, Ack inherited);
  void distribute(Batch batch, Ack ack);
  void finish(End end);
  void end_source(Source& source);
  void finish_unconnected();
  void complete();
  void failed(const Error& error, Time now);
  bool can_handle() const;
  bool outputs_full() const;
  bool outputs_clogged() const;
  bool all_inputs_ended() const;
  std::optional<Time> next_tick() const;
  bool ready() const;
  bool idle() const;

  std::string id_;
  AnyStage stage_;
  std::shared_ptr<StageHost> host_;
  std::vector<link::Link*> inputs_;
  std::vector<bool> ended_;          ///< by input
  End input_end_ = End::input_over;  ///< why, once they have
  std::vector<Output> outputs_;
  Observer observer_;
  std::size_t next_input_ = 0;

  std::atomic<Condition> condition_{Condition::connecting};
  std::atomic<bool> tried_{false};
  Backoff backoff_;
  bool in_trouble_ = false;       ///< as the log has it
  std::optional<Time> retry_at_;  ///< in the future: connect, poll or take input not before
  bool tick_wanted_ = true;       ///< woken, or a source that may have more at once
  std::optional<Time> due_since_;
  std::optional<link::Envelope> held_;  ///< the batch in hand: it waits for the stage, or is to be tried again
  std::atomic<bool> end_asked_{false};
  std::atomic<End> end_{End::input_over};
  bool detached_ = false;  ///< ended for a successor, which goes on with the same links

  mutable std::mutex mutex_;  ///< of the two below
  std::string failure_;
  std::vector<std::function<void(AnyStage&)>> tasks_;
  std::atomic<bool> has_tasks_{false};
};

}  // namespace millrace::supervise
