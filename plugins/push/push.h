#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/push/courier.h"
#include "plugins/push/outcome.h"
#include "plugins/push/queue.h"
#include "plugins/push/target.h"
#include "runner/config/fields.h"
#include "runner/stage/context.h"
#include "runner/stage/stage.h"
#include "runner/store/store.h"

namespace millrace::push {

/// Tells people. A batch is settled once the history holds a row for each message and target, in one transaction with the
/// notification's settlement; from then on the message is delivered at least once or ends in the dead letters, whatever happens
/// to this process. The row's id derives from the notification, the stage and the target, and goes along, so that a receiver
/// can tell a repetition.
///
/// write() waits for the history's commit; requests run on the Courier's thread, and tick() takes up what they came to.
class Push final : public Sink {
 public:
  struct Config {
    std::vector<std::string> to;
    std::string title;
    std::string body;
    RetryPlan retry;
    Duration timeout{10s};
    config::Secret secret;

    static void describe(config::Fields<Config>& f);
  };

  Push(Config config, Context context);

  Result<void> connect() override;
  Result<void> write(const Batch& batch) override;
  std::optional<Time> next_tick() const override { return next_tick_; }
  Result<void> tick(Time now) override;
  Result<void> finish(End end) override;

 private:
  struct Seat {
    Target target;
    bool locked_out = false;  ///< it refused our credentials, and the operator knows
    bool failing = false;     ///< it did not take the last message, and the operator knows
  };

  /// A message to a target that the stage does not name. It waits in the history for as long as any other: the version of the
  /// file without the target may be taken back, or not have been meant.
  struct Orphan {
    store::Delivery delivery;
    Message message;
    Time expiry;
  };

  Result<void> load_pending();
  void restore(const store::Delivery& delivery);
  bool addressed_to_us(const Record& record) const;
  void add(const Record& record, store::Commit& commit, std::vector<Parcel>& parcels) const;
  Result<void> commit(store::Commit commit) const;

  Result<void> take_replies(Time now);
  void settle(const Reply& reply, Time now);
  void pause_target(std::size_t target, Outcome outcome, Time until);
  void try_again(Parcel& parcel, const std::string& error, Time next);
  void give_up(std::string_view id, const Message& message, std::size_t attempts, std::string_view target,
               const std::string& error);
  void send_due(Time now);
  void give_up_orphans(Time now);

  Config config_;
  Context context_;
  Template title_, body_;
  std::vector<Seat> seats_;
  Counter &delivered_, &failed_, &given_up_, &waiting_;
  store::Store* store_ = nullptr;
  std::unique_ptr<Courier> courier_;
  Queue queue_;
  std::vector<Orphan> orphans_;
  std::size_t under_way_ = 0;
  std::vector<store::DeliveryUpdate> updates_;  ///< known here, not yet in the history
  std::optional<Time> next_tick_;
};

}  // namespace millrace::push
