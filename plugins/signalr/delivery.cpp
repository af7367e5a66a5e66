#include "plugins/signalr/delivery.h"

#include <algorithm>

namespace millrace::signalr {

/// One recipient's share of a frame; tells when it is let go of.
class Delivery::Share {
 public:
  Share(SharedFrame frame, std::weak_ptr<Delivery> delivery, std::size_t leg)
      : frame_(std::move(frame)), delivery_(std::move(delivery)), leg_(leg) {}
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  ~Share() {
    if (auto delivery = delivery_.lock()) delivery->released(leg_);
  }

  static SharedFrame of(SharedFrame frame, const std::shared_ptr<Delivery>& delivery, std::size_t leg) {
    const Frame* bytes = frame.get();
    return {std::make_shared<Share>(std::move(frame), delivery, leg), bytes};
  }

 private:
  SharedFrame frame_;
  std::weak_ptr<Delivery> delivery_;
  std::size_t leg_;
};

void Delivery::send(const std::shared_ptr<http::Loop>& loop, const std::vector<std::shared_ptr<Connection>>& to,
                    CallFrames frames, std::chrono::milliseconds deadline, Done done) {
  std::shared_ptr<Delivery> delivery(new Delivery(loop, std::move(done)));
  // The timer holds the delivery, so that it lives until it has answered.
  delivery->deadline_ = loop->after(deadline, [delivery] { delivery->finish(); });
  delivery->legs_.resize(to.size());
  for (std::size_t i = 0; i < to.size(); ++i) {
    Connection& connection = *to[i];
    Leg& leg = delivery->legs_[i];
    leg.connection = to[i];
    leg.confirms = connection.confirms();
    connection.send(Share::of(frames.of(*connection.protocol()), delivery, i));
    if (connection.gone()) continue;
    connection.when_drained([weak = std::weak_ptr(delivery), i] {
      auto self = weak.lock();
      if (!self) return;
      self->legs_[i].written = true;
      self->look();
    });
  }
  loop->post([delivery] { delivery->look(); });
}

void Delivery::released(std::size_t at) {
  Leg& leg = legs_[at];
  auto connection = leg.connection.lock();
  if (connection && !connection->gone()) {
    leg.written = true;
    leg.confirmed = leg.confirms;
  } else if (!leg.written || leg.confirms) {
    leg.dropped = true;
  }
  // Not now: the connection is in the midst of its queue.
  loop_->post([weak = weak_from_this()] {
    if (auto self = weak.lock()) self->look();
  });
}

void Delivery::look() {
  bool open = std::any_of(legs_.begin(), legs_.end(),
                          [](const Leg& leg) { return !leg.dropped && !(leg.confirms ? leg.confirmed : leg.written); });
  if (!open) finish();
}

void Delivery::finish() {
  if (!done_) return;
  Outcome outcome{.matched = legs_.size()};
  for (const Leg& leg : legs_) {
    outcome.written += leg.written ? 1 : 0;
    outcome.confirmed += leg.confirmed ? 1 : 0;
    outcome.dropped += leg.dropped && !leg.written ? 1 : 0;
  }
  std::exchange(done_, nullptr)(outcome);
  // Its timer may be what has called this, and holds it.
  loop_->post([self = shared_from_this()] { self->deadline_ = {}; });
}

}  // namespace millrace::signalr
