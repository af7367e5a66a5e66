#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runner/stage/ack.h"
#include "runner/store/history.h"
#include "runner/store/store.h"

namespace millrace::store {

struct PendingCommit {
  Commit commit;
  Store::Done done;
  std::size_t bytes = 0;
};

struct PendingLetter {
  DeadLetter letter;
  Ack ack;
};

/// About how much memory a commit takes.
std::size_t bytes_of(const Commit& commit);

/// What waits for the store's writer: commits in their order, and dead letters, of which each stage has its share. For one
/// thread at a time.
class WriteQueue {
 public:
  bool empty() const { return commits_.empty() && letter_count_ == 0; }
  std::size_t commits() const { return commits_.size(); }
  std::size_t bytes() const { return bytes_; }  ///< of the commits

  void push(PendingCommit commit);

  /// Keeps at most `limit` letters of a stage, and so many bytes; returns the oldest, which had to make room.
  std::vector<PendingLetter> push(PendingLetter letter, std::size_t limit);

  /// The next to be written together: all letters, and so many commits that none waits long for its neighbours.
  std::pair<std::vector<PendingCommit>, std::vector<PendingLetter>> take();

 private:
  struct Letters {
    std::deque<PendingLetter> waiting;
    std::size_t bytes = 0;
  };

  std::deque<PendingCommit> commits_;
  std::size_t bytes_ = 0;
  std::map<std::pair<std::string, std::string>, Letters> letters_;
  std::size_t letter_count_ = 0;
};

}  // namespace millrace::store
