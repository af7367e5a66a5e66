#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "plugins/mqtt_source/arrivals.h"
#include "runner/mqtt/connection.h"
#include "runner/stage/ack.h"
#include "runner/stage/context.h"
#include "runner/store/inbox_lease.h"

namespace millrace::mqtt_source {

/// What has been received and not yet polled: QoS 1 in the inbox, which a kill does not empty, QoS 0 in a bounded queue. Shared
/// by the library's thread and the stage.
class Intake {
 public:
  /// Of a message in the inbox: it came after a connect, so it may have waited at the broker, and its arrival says little.
  static constexpr std::uint16_t backlog_flag = 1;

  /// Of a message that was larger than allowed: in place of the payload there is an Oversize.
  static constexpr std::uint16_t oversize_flag = 2;

  /// At this much of the inbox the source disconnects, and at that much it connects again.
  static constexpr double high = 0.9;
  static constexpr double low = 0.5;

  struct Limits {
    std::size_t queue_bytes = 0;
    std::size_t payload_bytes = 0;  ///< a message that is larger is not kept whole
    bool retained = false;          ///< whether to take retained messages
  };

  /// `inbox` is none if nothing is subscribed with QoS 1.
  Intake(std::optional<store::InboxLease> inbox, const Limits& limits, const Context& context);

  /// Keeps a message. False: no more now, please. On the library's thread, never waits.
  bool receive(const mqtt::Message& message);

  /// Asks for the stage's attention, once until attended() is called.
  void wake() {
    // Looking first keeps the cache line shared while the stage is awake.
    if (!woken_.load() && !woken_.exchange(true)) waker_.wake();
  }
  void attended() { woken_.store(false); }

  /// receive() has said no. The stage clears it when it connects again.
  bool held() const { return held_.load(); }
  void resume() { held_.store(false); }

  /// Whether what comes now may have waited at the broker.
  void set_backlog(bool backlog) { backlog_.store(backlog, std::memory_order_relaxed); }

  store::Inbox* inbox() { return inbox_ ? inbox_->inbox().get() : nullptr; }
  Arrivals& queue() { return queue_; }

  /// Once nothing more is received.
  void give_up_inbox() { inbox_.reset(); }

  /// An Ack that settles these messages, which were read from the inbox, or lets them be read again. It may outlive the Intake.
  Ack ack(const std::vector<store::Inbox::Message>& messages) const;

 private:
  bool take(const mqtt::Message& message, std::uint16_t flags);
  bool take_beginning(mqtt::Message message);
  bool keep(const mqtt::Message& message, Time now, std::uint16_t flags);
  void queue(const mqtt::Message& message, Time now, std::uint16_t flags);

  std::optional<store::InboxLease> inbox_;
  Arrivals queue_;
  const Limits limits_;
  const Context context_;
  const Waker waker_;
  Counter& queue_full_;
  Counter& retained_;
  Counter& cleared_;
  Counter& oversize_;
  Counter& unprotected_;
  std::atomic<bool> woken_{false};
  std::atomic<bool> held_{false};
  std::atomic<bool> backlog_{true};
};

}  // namespace millrace::mqtt_source
