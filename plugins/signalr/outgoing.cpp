#include "plugins/signalr/outgoing.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace millrace::signalr {

namespace {

constexpr std::size_t hasty_room = 4U << 10U;  ///< for pings and their like, beside what waits

}  // namespace

void Owed::add(std::uint32_t place) {
  std::size_t word = place / 64;
  if (word >= bits_.size()) bits_.resize(word + 1);
  std::uint64_t bit = std::uint64_t{1} << (place % 64);
  if ((bits_[word] & bit) == 0) ++count_;
  bits_[word] |= bit;
}

void Owed::remove(std::uint32_t place) {
  std::size_t word = place / 64;
  if (word >= bits_.size()) return;
  std::uint64_t bit = std::uint64_t{1} << (place % 64);
  if ((bits_[word] & bit) != 0) --count_;
  bits_[word] &= ~bit;
  if (empty()) bits_ = {};
}

bool Owed::has(std::uint32_t place) const {
  std::size_t word = place / 64;
  return word < bits_.size() && (bits_[word] >> (place % 64) & 1U) != 0;
}

std::uint32_t Owed::next() {
  assert(!empty() && "nothing is owed");
  std::size_t word = turn_ / 64;
  std::uint64_t here = word < bits_.size() ? bits_[word] & ~std::uint64_t{0} << (turn_ % 64) : 0;
  while (here == 0) {
    word = word + 1 < bits_.size() ? word + 1 : 0;
    here = bits_[word];
  }
  auto place = static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(here)));
  turn_ = place + 1;
  return place;
}

Outgoing::Pushed Outgoing::push(SharedFrame frame) {
  Pushed pushed;
  if (replay_ && frame->messages == 0) {
    pushed.full = bytes_ + frame->bytes.size() > limit_ + hasty_room;
    if (!pushed.full) hasten(std::move(frame));
    return pushed;
  }
  std::size_t bytes = frame->bytes.size();
  bool telemetry = !frame->series.empty();
  if (telemetry && policy_ == SlowClient::newest && (!owed_.empty() || !fits(bytes))) {
    pushed.conflated = conflate(*frame);
    return pushed;
  }
  if (!fits(bytes) && policy_ != SlowClient::disconnect) displace(bytes, pushed);
  if (fits(bytes)) {
    append(std::move(frame));
  } else if (telemetry && policy_ == SlowClient::drop_oldest) {
    pushed.dropped += frame->records;
  } else {
    pushed.full = true;
  }
  return pushed;
}

void Outgoing::push_owed(SharedFrame frame) { append(std::move(frame)); }

void Outgoing::push_last(SharedFrame frame) {
  append(std::move(frame));
  ++last_words_;
}

void Outgoing::append(SharedFrame frame) {
  bytes_ += frame->bytes.size();
  frames_.push_back(std::move(frame));
}

/// Queues a frame in front of the numbered ones, which may have to wait for what it says.
void Outgoing::hasten(SharedFrame frame) {
  bytes_ += frame->bytes.size();
  auto first = frames_.begin() + static_cast<std::ptrdiff_t>(head_ + (sent_ > 0 ? 1 : 0));
  auto numbered = std::find_if(first, frames_.end(), [](const SharedFrame& waiting) { return waiting->messages > 0; });
  frames_.insert(numbered, std::move(frame));
}

std::uint32_t Outgoing::conflate(const Frame& frame) {
  for (std::uint32_t place : frame.series) owed_.add(place);
  return frame.records;
}

/// Takes telemetry out of the queue until `wanted` bytes fit: the oldest first where it is lost, but the newest first where the
/// newest values follow in its place, so that nothing older comes behind something newer.
void Outgoing::displace(std::size_t wanted, Pushed& pushed) {
  auto may_go = [this](std::size_t i) { return !frames_[i]->series.empty() && !(i == head_ && sent_ > 0); };
  auto take_out = [&](std::size_t i) {
    if (!may_go(i) || bytes_ + wanted <= limit_) return;
    bytes_ -= frames_[i]->bytes.size();
    if (policy_ == SlowClient::newest) {
      pushed.conflated += conflate(*frames_[i]);
    } else {
      pushed.dropped += frames_[i]->records;
    }
    frames_[i] = nullptr;
  };
  if (policy_ == SlowClient::newest) {
    for (std::size_t i = frames_.size(); i > head_; --i) take_out(i - 1);
  } else {
    for (std::size_t i = head_; i < frames_.size(); ++i) take_out(i);
  }
  auto begin = frames_.begin() + static_cast<std::ptrdiff_t>(head_);
  frames_.erase(std::remove(begin, frames_.end(), nullptr), frames_.end());
}

std::size_t Outgoing::front(std::span<std::string_view> pieces) const {
  if (replay_ && replay_->pending()) return replay_->front(pieces);
  std::size_t count = 0;
  std::size_t room = replay_ ? replay_->room() : 0;
  for (std::size_t i = head_; i < frames_.size() && count < pieces.size(); ++i) {
    const Frame& frame = *frames_[i];
    bool begun = i == head_ && sent_ > 0;
    if (replay_ && last_words_ == 0 && frame.messages > 0 && !begun) {
      if (room == 0) break;
      room -= std::min(room, frame.bytes.size());
    }
    pieces[count++] = frame.bytes;
  }
  if (count > 0) pieces[0].remove_prefix(sent_);
  return count;
}

std::span<const SharedFrame> Outgoing::whole() const {
  if (replay_ || sent_ > 0) return {};
  return std::span(frames_).subspan(head_);
}

void Outgoing::sent(std::size_t bytes) {
  if (replay_) bytes = replay_->taken(bytes);
  bytes_ -= bytes;
  while (bytes > 0) {
    SharedFrame& frame = frames_[head_];
    if (replay_ && sent_ == 0 && frame->messages > 0) replay_->sent(frame);
    std::size_t left = frame->bytes.size() - sent_;
    if (bytes < left) {
      sent_ += bytes;
      return;
    }
    bytes -= left;
    sent_ = 0;
    frames_[head_++].reset();
  }
  if (!none_waits()) return;
  head_ = 0;
  // An idle client keeps a little room, not what a burst has needed.
  if (frames_.capacity() > 8) frames_ = {};
  frames_.clear();
}

void Outgoing::cut() {
  if (sent_ > 0) {
    bytes_ -= frames_[head_]->bytes.size() - sent_;
    frames_[head_++].reset();  // a numbered one is in the replay
    sent_ = 0;
  }
  for (; last_words_ > 0 && !none_waits(); --last_words_) {
    bytes_ -= frames_.back()->bytes.size();
    frames_.pop_back();
  }
  last_words_ = 0;
  if (replay_) replay_->cut();
}

void Outgoing::discard() {
  std::size_t keep = head_ + (sent_ > 0 ? 1 : 0);
  frames_.resize(std::min(keep, frames_.size()));
  bytes_ = none_waits() ? 0 : frames_[head_]->bytes.size() - sent_;
  owed_ = {};
}

}  // namespace millrace::signalr
