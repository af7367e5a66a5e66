#include "plugins/mqtt_source/intake.h"

#include <fmt/core.h>

#include <utility>

#include "plugins/mqtt_source/oversize.h"

namespace millrace::mqtt_source {
namespace {

struct Range {
  std::uint64_t first;
  std::uint64_t last;
};

/// What is read again comes first, so one read may hold several ranges.
std::vector<Range> ranges_of(const std::vector<store::Inbox::Message>& messages) {
  std::vector<Range> ranges;
  for (const auto& m : messages) {
    if (!ranges.empty() && m.sequence == ranges.back().last + 1)
      ranges.back().last = m.sequence;
    else
      ranges.push_back({m.sequence, m.sequence});
  }
  return ranges;
}

}  // namespace

Intake::Intake(std::optional<store::InboxLease> inbox, const Limits& limits, const Context& context)
    : inbox_(std::move(inbox)),
      queue_(limits.queue_bytes),
      limits_(limits),
      context_(context),
      waker_(context.waker()),
      queue_full_(context.dropped("queue_full")),
      retained_(context.dropped("retained")),
      cleared_(context.dropped("cleared")),
      oversize_(context.counter("oversize_messages")),
      unprotected_(context.counter("unprotected")) {
  if (inbox_) inbox_->inbox()->watch(waker_);
}

bool Intake::receive(const mqtt::Message& message) {
  if (message.retained && !limits_.retained) {
    retained_.add();
    return true;
  }
  if (message.payload.empty()) {
    cleared_.add();
    return true;
  }
  return message.payload.size() <= limits_.payload_bytes ? take(message, 0) : take_beginning(message);
}

bool Intake::take_beginning(mqtt::Message message) {
  oversize_.add();
  std::string packed = Oversize::pack(message.payload);
  message.payload = packed;
  return take(message, oversize_flag);
}

bool Intake::take(const mqtt::Message& message, std::uint16_t flags) {
  Time now = context_.now();
  bool more = true;
  if (message.qos > 0 && inbox_)
    more = keep(message, now, flags);
  else
    queue(message, now, flags);
  wake();
  return more;
}

bool Intake::keep(const mqtt::Message& message, Time now, std::uint16_t flags) {
  if (backlog_.load(std::memory_order_relaxed)) flags = static_cast<std::uint16_t>(flags | backlog_flag);
  auto kept = inbox_->inbox()->append(message.topic, message.payload, now, flags);
  if (!kept) {
    // With its topic it is larger than the inbox takes.
    if (kept.error().kind == ErrorKind::rejected && (flags & oversize_flag) == 0) return take_beginning(message);
    // It will be acknowledged all the same. In memory it has a chance: only a kill loses it.
    unprotected_.add();
    queue(message, now, flags);
    if (!held_.exchange(true))
      context_.log(LogLevel::error, fmt::format("the inbox takes no more, so we disconnect: {}", kept.error().what));
    return false;
  }
  if (inbox_->inbox()->fill() < high) return true;
  if (!held_.exchange(true))
    context_.log(LogLevel::warning, "the inbox is 90 % full: disconnected until half of it is settled");
  return false;
}

void Intake::queue(const mqtt::Message& message, Time now, std::uint16_t flags) {
  std::size_t before = queue_.used();
  if (!queue_.push({message.topic, message.payload, now, flags})) queue_full_.add();
  // A stage that looks by itself may look too late for a queue that fills quickly.
  std::size_t quarter = queue_.capacity() / 4;
  if (before <= quarter && queue_.used() > quarter) waker_.wake();
}

Ack Intake::ack(const std::vector<store::Inbox::Message>& messages) const {
  return Ack([inbox = inbox_->inbox(), ranges = ranges_of(messages)](Settlement how) {
    for (const Range& range : ranges) {
      if (how == Settlement::settled)
        inbox->settle(range.first, range.last);
      else
        inbox->refuse(range.first, range.last);
    }
  });
}

}  // namespace millrace::mqtt_source
