#include "runner/store/write_queue.h"

#include <algorithm>
#include <iterator>

namespace millrace::store {
namespace {

constexpr std::size_t group_commits = 4096;
constexpr std::size_t letters_bytes = 8U << 20U;

}  // namespace

std::size_t bytes_of(const Commit& commit) {
  std::size_t bytes = sizeof(Commit);
  for (const Event& event : commit.events)
    bytes += sizeof event + event.message.size() + event.aggregates_json.size() + event.labels_json.size();
  for (const State& state : commit.states) bytes += sizeof state + state.extra.size() + state.flaps_json.size();
  for (const Notification& notification : commit.notifications) bytes += sizeof notification + notification.body.size();
  for (const Delivery& delivery : commit.deliveries) bytes += sizeof delivery + delivery.body.size();
  for (const Snapshot& snapshot : commit.snapshots) bytes += sizeof snapshot + (snapshot.data ? snapshot.data->size() : 0);
  return bytes + (commit.removed_states.size() * sizeof(StateKey)) +
         (commit.settled_notifications.size() * sizeof(std::string)) +
         (commit.delivery_updates.size() * sizeof(DeliveryUpdate)) + (commit.silences.size() * sizeof(Silence));
}

void WriteQueue::push(PendingCommit commit) {
  bytes_ += commit.bytes;
  commits_.push_back(std::move(commit));
}

std::vector<PendingLetter> WriteQueue::push(PendingLetter letter, std::size_t limit) {
  Letters& letters = letters_[{letter.letter.pipeline, letter.letter.stage}];
  letters.bytes += letter.letter.record_json.size();
  letters.waiting.push_back(std::move(letter));
  ++letter_count_;
  std::vector<PendingLetter> dropped;
  while (letters.waiting.size() > limit || (letters.bytes > letters_bytes && letters.waiting.size() > 1)) {
    dropped.push_back(std::move(letters.waiting.front()));
    letters.waiting.pop_front();
    letters.bytes -= dropped.back().letter.record_json.size();
    --letter_count_;
  }
  return dropped;
}

std::pair<std::vector<PendingCommit>, std::vector<PendingLetter>> WriteQueue::take() {
  std::size_t count = std::min(commits_.size(), group_commits);
  std::vector<PendingCommit> commits(std::make_move_iterator(commits_.begin()),
                                     std::make_move_iterator(commits_.begin() + static_cast<std::ptrdiff_t>(count)));
  commits_.erase(commits_.begin(), commits_.begin() + static_cast<std::ptrdiff_t>(count));
  for (const PendingCommit& commit : commits) bytes_ -= commit.bytes;
  std::vector<PendingLetter> taken;
  for (auto& [stage, letters] : letters_) std::move(letters.waiting.begin(), letters.waiting.end(), std::back_inserter(taken));
  letters_.clear();
  letter_count_ = 0;
  return {std::move(commits), std::move(taken)};
}

}  // namespace millrace::store
