#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "runner/stage/context.h"
#include "runner/stage/plugin.h"
#include "runner/stage/record.h"

namespace millrace::link {

/// A batch on its way over a link, with the receiver's share of its settlement.
struct Envelope {
  std::shared_ptr<Batch> batch;  ///< null marks the end of input
  bool shared = false;           ///< others hold the same batch: whoever writes takes a copy
  Ack ack;
  End end = End::input_over;  ///< why the input ends, where it does
  bool spooled = false;       ///< it is in the link's Spool until it is settled

  /// The batch as the receiver's own: itself if nobody shares it, else a copy.
  Batch take() { return shared ? batch->copy() : std::move(*batch); }
};

struct Limits {
  std::size_t records = 10'000;
  std::size_t bytes = 8U << 20U;
};

/// What a link counts, by reason; any thread may read.
struct Counters {
  Counter records_in;  ///< taken from the sender
  Counter depth_records;
  Counter depth_bytes;
  Counter* dropped_oldest = nullptr;  ///< of the receiving stage; set before use
  Counter* dropped_newest = nullptr;
  Counter* conflated = nullptr;
};

/// Where a link with `on_full: spool` keeps on disk, in order, what its queue cannot hold. Used on the sender's thread.
class Spool {
 public:
  virtual ~Spool() = default;

  /// Keeps a batch, which is settled for its sender then; false if there is no room, or the disk refuses.
  virtual bool put(const Batch& batch) = 0;

  /// The next batch, with an Ack that frees its room or lets it be taken again; nothing if all have been taken.
  virtual std::optional<Envelope> take() = 0;
  virtual bool empty() = 0;

  /// Whom to wake when something is to be taken again.
  virtual void watch(Waker sender) = 0;
};

/// The queue of a link, at its sender: bounded in records and bytes, with the declared behaviour when full. Not thread-safe.
class Queue {
 public:
  Queue(Limits limits, Overflow overflow, Counters& counters, std::unique_ptr<Spool> spool = nullptr);

  /// Takes a batch; never waits and never refuses. Where the policy is to drop, records are dropped here, counted, and what was
  /// dropped settles; where it is to block, full() tells the sender to stop.
  void push(Envelope envelope);

  bool empty() const { return queue_.empty() && (!spool_ || spool_->empty()); }

  /// What stands first; nothing if there is nothing, though empty() may have thought otherwise of a damaged spool.
  std::optional<Envelope> pop();

  /// Moves out what is in memory.
  std::deque<Envelope> clear();

  /// Brings what is in memory to the spool, as far as that is the policy and there is room.
  void spool_all();
  bool spool(const Envelope& envelope);

  void sender_is(Waker sender) {
    if (spool_) spool_->watch(std::move(sender));
  }

  /// Whether the sender should wait before it makes more. Only a blocking link, or one clogged with alerts, is ever full.
  bool full() const;

  /// Full twice over: not even what a stage says of its own accord may be added.
  bool clogged() const { return full() && (records_ > 2 * limits_.records || bytes_ > 2 * limits_.bytes); }

 private:
  struct Waiting {
    Envelope envelope;
    std::size_t records;
    std::size_t bytes;
  };

  bool over() const { return records_ > limits_.records || bytes_ > limits_.bytes; }
  bool conflation_due() const { return records_ > conflate_at_.records || bytes_ > conflate_at_.bytes; }
  void forget(const Waiting& waiting);
  void show();
  void drop_oldest();
  void keep_newest();

  Limits limits_;
  Overflow overflow_;
  Counters& counters_;
  std::unique_ptr<Spool> spool_;  ///< all in it is older than all in queue_; null if there is none
  std::deque<Waiting> queue_;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
  Limits conflate_at_;          ///< for `newest`: beyond this the queue is gone through
  bool nothing_older_ = false;  ///< when that was done last, what remained was over the limits all the same
};

/// One link between two stages of a process: the sender's end is used on the sender's thread, the receiver's on the receiver's.
/// Between two threads batches travel as pointers over a ZeroMQ inproc pair, no more of them than the receiver has granted; on
/// one thread they stay in the queue, for there is nobody to wake. Either way the queue is the sender's.
class Link {
 public:
  enum class Ends { one_thread, two_threads };

  Link(Ends ends, Limits limits, Overflow overflow, std::unique_ptr<Spool> spool = nullptr);
  ~Link();  ///< with both threads stopped; refuses what is still queued and cannot be spooled
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  Counters& counters() { return counters_; }

  // The sender's end.
  void send(Envelope envelope);
  bool full() const { return queue_.full(); }
  bool clogged() const { return queue_.clogged(); }
  bool empty() const { return queue_.empty(); }
  /// Takes in what the receiver has granted and sends what it may; true if anything moved.
  bool pump();
  /// Whose thread the sender's end is on, for what comes back to the spool. With the thread stopped.
  void sender_is(Waker sender);
  /// The ZeroMQ socket on which credit comes, for Poller; null on one thread.
  void* sender_socket() const;

  // The receiver's end.
  std::optional<Envelope> receive();
  void* receiver_socket() const;

  /// Moves everything in memory or on the way out, in order, but what its spool gives again; with both threads stopped.
  std::deque<Envelope> drain();

  /// Ends the link with both threads stopped, as far as it can be: what is in memory goes to the spool, if it has one. How many
  /// records of what is left nobody waits for, so that no source will offer them again.
  std::uint64_t unkept();

 private:
  struct Pair;

  Counters counters_;
  Queue queue_;
  std::unique_ptr<Pair> pair_;  ///< null on one thread
};

}  // namespace millrace::link
