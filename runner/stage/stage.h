#pragma once

#include <optional>

#include "runner/stage/error.h"
#include "runner/stage/record.h"
#include "runner/stage/time.h"

namespace millrace {

// The three kinds of stage. For all of them:
// - The constructor does no I/O and keeps what it is given: `millrace check` constructs every stage.
// - connect() opens what the stage needs. The runner calls it before anything else, and again, after a full-jitter back-off,
//   whenever a call has returned ErrorKind::unavailable. ErrorKind::invalid refuses the start (or rolls a reload back).
// - All calls come from one thread at a time. A stage whose plugin asks for Threading::own may wait for the outside in
// connect(),
//   poll() and write(), heeding Context::stop_token(); any other must never wait.
// - next_tick() says when the stage next wants to run without input; a Waker makes it run at once.

/// Why a stage is asked to finish.
enum class End {
  input_over,  ///< the sources have ended: flush, emit what is open
  shutdown,    ///< the process stops: keep state for the next start, emit nothing that a restart would emit again
};

class Source {
 public:
  virtual ~Source() = default;
  virtual Result<void> connect() { return {}; }

  /// What has arrived, at once and never waiting to fill a batch; empty if nothing has. Called again immediately after a batch,
  /// else at next_tick() or on a wake; never while the link below is full. ErrorKind::finished ends the source.
  virtual Result<Batch> poll() = 0;

  virtual std::optional<Time> next_tick() const { return std::nullopt; }

  /// False while a connection that connect() has only begun is not up: /readyz waits for it. Wake the stage when that changes.
  virtual bool ready() const { return true; }

  /// No more poll() will come; Acks may still be settled. Stop receiving. What is not settled is offered again at the next
  /// start.
  virtual void stop() {}

  /// After stop(): what was received, not polled yet, and would not be offered again. Called until it gives nothing; never
  /// waits.
  virtual Result<Batch> remaining() { return Batch{}; }
};

class Transform {
 public:
  virtual ~Transform() = default;
  virtual Result<void> connect() { return {}; }

  /// The batch is the stage's own to change and to move from. The output inherits the input's Ack unless the stage took it
  /// (Context::take_ack); an Ack that the stage itself puts on the output is settled besides. An empty output settles the
  /// input. On ErrorKind::rejected what is left in `batch` goes to the dead letters; after unavailable or overloaded it comes
  /// again, so a stage that returns these leaves it as it was.
  virtual Result<Batch> process(Batch&& batch) = 0;

  /// False while the stage cannot take more: process() is not called then, input waits in the links, and ticks go on. Looked at
  /// again after each of them.
  virtual bool wants_input() const { return true; }

  virtual std::optional<Time> next_tick() const { return std::nullopt; }
  virtual Result<Batch> tick(Time) { return Batch{}; }

  /// No more input comes. Emits the last records; tick() goes on being called until idle().
  virtual Result<Batch> finish(End) { return Batch{}; }

  /// False while work that the stage began elsewhere (a commit) is still to be emitted or settled by a tick().
  virtual bool idle() const { return true; }
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual Result<void> connect() { return {}; }

  /// Handles the whole batch: when it returns well the batch is settled, unless the stage took the Ack. After unavailable or
  /// overloaded the same batch comes again, so a sink must bear repetition.
  virtual Result<void> write(const Batch& batch) = 0;

  /// False while the stage has no room: write() is not called then, and input waits in the links. Wake the stage when there is
  /// room.
  virtual bool wants_input() const { return true; }

  virtual std::optional<Time> next_tick() const { return std::nullopt; }
  virtual Result<void> tick(Time) { return {}; }

  /// Nothing more will be written: bring what is buffered to safety. tick() goes on being called until idle().
  virtual Result<void> finish(End) { return {}; }

  /// False while work that the stage began elsewhere is still to be settled by a tick().
  virtual bool idle() const { return true; }
};

}  // namespace millrace
