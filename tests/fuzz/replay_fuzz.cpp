#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broken.h"
#include "plugins/signalr/outgoing.h"
#include "plugins/signalr/replay.h"

// Stateful reconnect against a model: a client's queue, a socket that takes some bytes at a time and is cut anywhere, and a
// client that counts what it gets as the official ones do. Each byte of an input is a step. Promises: what a number means never
// changes; no message comes twice as new, none is skipped, and what is not telemetry comes in the order in which it was queued,
// all of it; beyond its limit the replay buffer takes one frame more at most; and the queue knows how many bytes wait.

namespace {

using namespace millrace::signalr;
using millrace::fuzz::broken;

constexpr std::size_t unit = 8;  ///< bytes of each message: a letter, a number, padding
constexpr std::size_t replay_limit = 100, queue_limit = 200;
constexpr std::uint32_t most_messages = 5;

std::string message(char letter, std::uint32_t number) {
  std::string bytes(unit, '.');
  bytes[0] = letter;
  std::memcpy(bytes.data() + 1, &number, sizeof number);
  return bytes;
}

/// What a client that reconnects does with what it gets.
class Client {
 public:
  void read(std::string_view bytes) {
    pending_ += bytes;
    while (pending_.size() >= unit) {
      take(pending_[0], std::string_view(pending_).substr(1));
      pending_.erase(0, unit);
    }
  }

  void cut() {
    pending_.clear();
    receipts_.cut();
    opening_due_ = true;
  }

  std::uint32_t latest() const { return static_cast<std::uint32_t>(got_.size()); }
  const std::vector<std::uint32_t>& got() const { return got_; }

 private:
  void take(char letter, std::string_view rest) {
    std::uint32_t number = 0;
    std::memcpy(&number, rest.data(), sizeof number);
    if (opening_due_ != (letter == 'S')) broken("a Sequence comes first after a cut, and at no other time");
    switch (letter) {
      case 'S':
        opening_due_ = false;
        if (!receipts_.sequence(number)) broken("a Sequence skips nothing");
        next_ = number;
        return;
      case 'C': return;
      case 'T':
      case 'E': break;
      default: broken("messages come whole");
    }
    std::uint32_t at = next_++;
    if (receipts_.fresh() != (at > got_.size())) broken("what is new is what has not come before");
    if (at > got_.size()) {
      got_.push_back(number);
    } else if (got_[at - 1] != number) {
      broken("a number means one message");
    }
  }

  std::string pending_;
  Receipts receipts_;
  std::uint32_t next_ = 1;
  bool opening_due_ = false;
  std::vector<std::uint32_t> got_;  ///< the messages, by their number
};

class Model {
 public:
  Model() { queue_.number(replay_limit); }

  void step(std::uint8_t byte) {
    unsigned amount = byte >> 3U;
    switch (byte & 7U) {
      case 0: push('E', 1 + amount % most_messages); break;
      case 1: push('T', 1 + amount % most_messages); break;
      case 2: push('C', 1); break;
      case 3: write(amount); break;
      case 4: write(amount * unit); break;
      case 5: acknowledge(amount); break;
      case 6: cut(); break;
      default: resume(); break;
    }
    if (queue_.replay()->bytes() > replay_limit + most_messages * unit)
      broken("the replay buffer takes one frame too many at most");
    if (queue_.bytes() > queue_limit + 4096 + most_messages * unit) broken("a queue is bounded");
  }

  /// Everything arrives in the end.
  void finish() {
    resume();
    for (int rounds = 0; !queue_.empty(); ++rounds) {
      if (rounds > 10'000) broken("a client that reads and acknowledges gets everything");
      write(1000);
      if (!queue_.replay()->acknowledge(client_.latest())) broken("what has come can be acknowledged");
    }
    std::deque<std::uint32_t> expected(events_.begin(), events_.end());
    std::uint32_t newest = 0;
    for (std::uint32_t number : client_.got()) {
      if (!expected.empty() && number == expected.front()) expected.pop_front();
      if (number <= newest) broken("messages come in the order in which they were queued");
      newest = number;
    }
    if (!expected.empty()) broken("what is not telemetry is never dropped");
    if (queue_.bytes() != 0) broken("an empty queue has no bytes");
  }

 private:
  void push(char letter, std::uint32_t messages) {
    auto frame = std::make_shared<Frame>();
    std::uint32_t first = pushed_ + 1;
    for (std::uint32_t i = 0; i < messages; ++i) frame->bytes += message(letter, letter == 'C' ? 0 : ++pushed_);
    if (letter != 'C') frame->messages = messages;
    if (letter == 'T') frame->series = {0};
    frame->records = messages;
    auto pushed = queue_.push(std::move(frame));
    if (letter == 'T' && pushed.full) broken("telemetry ends no connection");
    if (letter != 'E' || pushed.full) return;
    for (std::uint32_t number = first; number <= pushed_; ++number) events_.push_back(number);
  }

  void write(std::size_t bytes) {
    if (cut_) return;
    std::array<std::string_view, 3> pieces;
    while (bytes > 0) {
      std::size_t count = queue_.front(pieces), taken = 0;
      if (count == 0) return;
      for (std::size_t i = 0; i < count && taken < bytes; ++i) {
        std::string_view part = pieces[i].substr(0, bytes - taken);
        if (pieces[i].empty()) broken("no piece is empty");
        client_.read(part);
        taken += part.size();
      }
      queue_.sent(taken);
      bytes -= taken;
      if (queue_.empty()) queue_.owed().remove(0);  // as the hub pays it
    }
  }

  void acknowledge(unsigned amount) {
    if (cut_) return;
    std::uint32_t number = client_.latest() - std::min(client_.latest(), amount);
    if (!queue_.replay()->acknowledge(number)) broken("what has come can be acknowledged");
    if (queue_.replay()->acknowledge(pushed_ + 1)) broken("what was never sent cannot");
  }

  void cut() {
    if (std::exchange(cut_, true)) return;
    queue_.cut();
    client_.cut();
  }

  void resume() {
    if (!cut_) cut();
    cut_ = false;
    auto opening = std::make_shared<Frame>();
    opening->bytes = message('S', static_cast<std::uint32_t>(queue_.replay()->first()));
    queue_.replay()->begin(std::move(opening));
  }

  Outgoing queue_{queue_limit, SlowClient::newest};
  Client client_;
  std::uint32_t pushed_ = 0;
  std::vector<std::uint32_t> events_;  ///< that were queued
  bool cut_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Model model;
  for (std::size_t i = 0; i < size && i < 2000; ++i) model.step(data[i]);
  model.finish();
  return 0;
}
