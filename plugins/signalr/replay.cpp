#include "plugins/signalr/replay.h"

#include <utility>

namespace millrace::signalr {

void Replay::sent(SharedFrame frame) {
  bytes_ += frame->bytes.size();
  std::uint64_t first = std::exchange(next_, next_ + frame->messages);
  entries_.push_back({std::move(frame), first});
  again_ = entries_.size();
}

bool Replay::acknowledge(std::uint64_t number) {
  if (number >= next_) return false;
  // What is to go out again does so without a gap behind its Sequence; the client will acknowledge it once more.
  while (again_ > 0) {
    const Entry& entry = entries_.front();
    if (entry.first + entry.frame->messages - 1 > number) break;
    bytes_ -= entry.frame->bytes.size();
    entries_.pop_front();
    --again_;
  }
  return true;
}

void Replay::begin(SharedFrame opening) {
  opening_ = std::move(opening);
  again_ = 0;
  begun_ = 0;
}

std::size_t Replay::front(std::span<std::string_view> pieces) const {
  std::size_t count = 0;
  if (opening_ && count < pieces.size()) pieces[count++] = opening_->bytes;
  for (std::size_t i = again_; i < entries_.size() && count < pieces.size(); ++i) pieces[count++] = entries_[i].frame->bytes;
  if (count > 0) pieces[0].remove_prefix(begun_);
  return count;
}

std::size_t Replay::taken(std::size_t bytes) {
  while (bytes > 0 && pending()) {
    const SharedFrame& frame = opening_ ? opening_ : entries_[again_].frame;
    std::size_t left = frame->bytes.size() - begun_;
    if (bytes < left) {
      begun_ += bytes;
      return 0;
    }
    bytes -= left;
    begun_ = 0;
    if (opening_) {
      opening_ = nullptr;
    } else {
      ++again_;
    }
  }
  return bytes;
}

bool Receipts::fresh() {
  if (awaiting_) return false;
  due_ = true;
  if (next_++ <= latest_) return false;
  latest_ = next_ - 1;
  return true;
}

bool Receipts::sequence(std::uint64_t number) {
  if (number == 0 || number > latest_ + 1) return false;
  next_ = number;
  awaiting_ = false;
  return true;
}

std::optional<std::uint64_t> Receipts::due() {
  if (!std::exchange(due_, false)) return std::nullopt;
  return latest_;
}

}  // namespace millrace::signalr
