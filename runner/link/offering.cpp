#include "runner/link/offering.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace millrace::link {

bool Offering::wants_input() const {
  std::lock_guard lock(mutex_);
  return present_ && window_.size() < window_batches && bytes_ < window_bytes;
}

void Offering::add(std::string payload, Ack ack) {
  std::lock_guard lock(mutex_);
  bytes_ += payload.size();
  window_.push_back({next_++, std::move(payload), std::move(ack), false});
}

bool Offering::idle() const {
  std::lock_guard lock(mutex_);
  return window_.empty() || !present_;
}

void Offering::receive(std::string_view peer, const wire::Message& message, Moment now) {
  if (auto* hello = std::get_if<wire::Hello>(&message)) return welcome(peer, *hello, now);
  if (peer != peer_) return;
  heard(now);
  if (auto* credit = std::get_if<wire::Credit>(&message)) {
    if (credit->epoch == epoch_) credit_ = std::max(credit_, credit->up_to);
  } else if (auto* settled = std::get_if<wire::Settled>(&message)) {
    if (settled->epoch == epoch_) settle(settled->numbers);
  } else if (auto* again = std::get_if<wire::Again>(&message)) {
    if (again->epoch == epoch_ && again->from > 0) sent_ = std::min(sent_, again->from - 1);
  }
}

void Offering::welcome(std::string_view peer, const wire::Hello& hello, Moment now) {
  bool taken = !peer_.empty() && reader_ != hello.reader && now - heard_ < place_kept;
  if (taken) {
    outside_.send(peer,
                  wire::Refusal{fmt::format("'{}' reads here already; each reader needs an address of its own", reader_)});
    return;
  }
  std::uint64_t first = first_number();
  if (reader_ != hello.reader || session_ != hello.session) {
    sent_ = first - 1;
    credit_ = 0;
  }
  peer_ = peer;
  reader_ = hello.reader;
  session_ = hello.session;
  heard(now);
  outside_.send(peer, wire::Welcome{epoch_, session_, first});
}

std::uint64_t Offering::first_number() const {
  std::lock_guard lock(mutex_);
  return window_.empty() ? next_ : window_.front().number;
}

void Offering::heard(Moment now) {
  heard_ = now;
  set_present(true);
}

void Offering::set_present(bool present) {
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(present_, present) == present) return;
  }
  outside_.changed();
}

void Offering::settle(const std::vector<std::uint64_t>& numbers) {
  std::vector<Ack> done;
  {
    std::lock_guard lock(mutex_);
    for (std::uint64_t number : numbers) {
      if (window_.empty() || number < window_.front().number || number >= next_) continue;
      Sent& sent = window_[number - window_.front().number];
      if (sent.settled) continue;
      sent.settled = true;
      done.push_back(std::move(sent.ack));
    }
    while (!window_.empty() && window_.front().settled) {
      bytes_ -= window_.front().payload.size();
      window_.pop_front();
    }
  }
  for (Ack& ack : done) ack.settle();
  outside_.changed();
}

void Offering::turn(Moment now) {
  if (peer_.empty()) return;
  send_window();
  if (now - pulsed_ < pulse) return;
  pulsed_ = now;
  bool sent = outside_.send(peer_, wire::Pulse{epoch_, sent_});
  if (!sent || now - heard_ >= place_kept) set_present(false);
}

void Offering::send_window() {
  std::lock_guard lock(mutex_);
  while (!window_.empty()) {
    std::uint64_t number = std::max(sent_ + 1, window_.front().number);
    if (number >= next_ || number > credit_) break;
    const Sent& next = window_[number - window_.front().number];
    if (!next.settled && !outside_.send(peer_, wire::Numbered{epoch_, number, next.payload})) break;
    sent_ = number;
  }
}

}  // namespace millrace::link
