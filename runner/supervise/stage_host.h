#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runner/link/poller.h"
#include "runner/stage/context.h"
#include "runner/store/store.h"

namespace millrace::supervise {

/// What a running pipeline gives to its stages. All outlive them.
struct Services {
  const Clock* clock = nullptr;
  std::filesystem::path data_folder;
  store::Store* store = nullptr;
  std::map<std::type_index, void*> rooms;  ///< what Context::service finds
  std::function<void(LogLevel, std::string_view)> log;

  /// Told how many records a pipeline had under way when it ended that no source will offer again. May be null.
  std::function<void(const std::string& pipeline, std::uint64_t records)> on_lost;
};

/// Why records are dropped that a sink had taken for later and that went with it: their source would not offer them again.
inline constexpr std::string_view unfinished_work = "unfinished";

/// Figures that every stage has; any thread.
struct StageFigures {
  Counter records_in, records_out, batches_in, rejected, errors, reconnects;
  Counter connected;  ///< gauge, 0 or 1

  /// The stage's own counters and gauges, and its drops by reason, by name.
  std::vector<std::pair<std::string, std::uint64_t>> counted() const { return values(counted_); }
  std::vector<std::pair<std::string, std::uint64_t>> gauges() const;
  std::vector<std::pair<std::string, std::uint64_t>> dropped() const { return values(dropped_); }

  Counter& counted(std::string_view name) { return named(counted_, name); }
  Counter& gauge(std::string_view name) { return named(gauges_, name); }
  Counter& dropped(std::string_view reason) { return named(dropped_, reason); }

  /// What one of the stage's inputs, by its sender, has on disk; the gauges show the sum of all.
  struct Spooled {
    Counter batches, bytes;
  };
  Spooled& spooled(const std::string& sender);

  /// How many were dropped for that reason so far.
  std::uint64_t dropped_for(std::string_view reason) const;

 private:
  using Named = std::map<std::string, Counter, std::less<>>;
  Counter& named(Named& counters, std::string_view name);
  std::vector<std::pair<std::string, std::uint64_t>> values(const Named& counters) const;

  mutable std::mutex mutex_;
  Named counted_, gauges_, dropped_;
  std::map<std::string, Spooled> spooled_;
};

/// The wakes of one stage: remembers that it is wanted, and rouses the thread that it is on now.
class StageWakes final : public Waker::Target {
 public:
  void wake() noexcept override;

  /// Whether the stage was wanted since the last call.
  bool take() { return wanted_.exchange(false); }

  /// The thread changes when a reload moves the stage; null when it ends.
  void move_to(std::shared_ptr<link::Poller> poller);

 private:
  std::atomic<bool> wanted_{false};
  std::mutex mutex_;
  std::shared_ptr<link::Poller> poller_;
};

/// The runner's side of one stage's Context.
class StageHost final : public Host {
 public:
  StageHost(std::string pipeline, std::string stage, std::vector<std::string> notified, std::shared_ptr<Services> services,
            std::shared_ptr<StageFigures> figures);

  StageFigures& figures() { return *figures_; }
  const std::shared_ptr<StageFigures>& shared_figures() const { return figures_; }
  const std::shared_ptr<StageWakes>& wakes() const { return wakes_; }

  /// The stage is to end: whatever it waits for is given up, now and later.
  void request_stop();

  /// Whatever the stage waits for is given up now; until go_on() it waits for nothing. Any thread.
  void interrupt();
  void go_on();

  Services& services() { return *services_; }

  /// The Ack of the batch in hand: take_ack() empties it. Between calls it is empty.
  Ack in_hand;

  /// An Ack for a batch of so many records whose source waits for none: it counts them where they are let go of.
  Ack unawaited(std::uint64_t records) const;

  /// Writes the dead letters of the call that has just returned; `ack` waits for them.
  void write_dead_letters(const Ack& ack);

  /// Takes them back, uncounted: what they are of comes again.
  void forget_dead_letters();

  /// Logs how many rejects were not logged; by itself with the next call after their second, and at the stage's end.
  void tell_left_out();

  const std::string& pipeline() const override { return pipeline_; }
  const std::string& stage() const override { return stage_; }
  const std::filesystem::path& data_folder() const override { return services_->data_folder; }
  const Clock& clock() const override { return *services_->clock; }
  std::stop_token stop_token() const override;
  Waker waker() override { return Waker(wakes_); }
  /// The same warning or error over and over is said once in ten seconds, with how often it came.
  void log(LogLevel level, std::string_view text) override;
  void reject(const Record& record, const Error& error) override;
  Ack take_ack() override { return std::exchange(in_hand, Ack{}); }
  Counter& counter(std::string_view name) override { return figures_->counted(name); }
  Counter& gauge(std::string_view name) override { return figures_->gauge(name); }
  Counter& dropped(std::string_view reason) override { return figures_->dropped(reason); }
  const std::vector<std::string>& notified() const override { return notified_; }
  void* service(std::type_index type) override;

 private:
  std::string pipeline_, stage_;
  std::vector<std::string> notified_;
  std::shared_ptr<Services> services_;
  std::shared_ptr<StageFigures> figures_;
  std::shared_ptr<StageWakes> wakes_ = std::make_shared<StageWakes>();
  mutable std::mutex stop_mutex_;  ///< of the two below
  std::stop_source stop_;
  bool ends_ = false;
  std::vector<store::DeadLetter> letters_;
  Time quiet_until_{};                  ///< rejects are logged once a second, with how many were not
  std::uint64_t left_out_ = 0;          ///< rejects that are in the dead letters and were not logged
  std::uint64_t letters_left_out_ = 0;  ///< of the letters

  std::mutex log_mutex_;  ///< of what follows
  std::string last_trouble_;
  Time said_{};
  std::uint64_t again_ = 0;  ///< times that it was not said
};

}  // namespace millrace::supervise
