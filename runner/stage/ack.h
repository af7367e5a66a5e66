#pragma once

#include <functional>
#include <memory>
#include <vector>

namespace millrace {

/// How a batch ended for its source.
enum class Settlement {
  settled,  ///< every branch has stored, sent or by declared policy dropped it: the source may forget it
  refused,  ///< somebody let go of it unsettled (a stop, a failure): the source must offer it again
};

/// The right, and the duty, to tell a source that its batch is done with. Each branch of the graph holds one Ack of the same
/// origin; the source hears once, when the last is gone: `settled` if all called settle(), else `refused`. An Ack destroyed
/// without settle() refuses. Copying makes another branch. Empty Acks do nothing. Any thread may hold, settle or destroy one.
class Ack {
 public:
  Ack() = default;

  /// An Ack that calls `done` once, on whichever thread lets the last branch go. `done` must not block.
  explicit Ack(std::function<void(Settlement)> done);

  Ack(const Ack& other) : origins_(other.origins_) {}
  Ack(Ack&& other) noexcept : origins_(std::move(other.origins_)) { other.origins_.clear(); }
  Ack& operator=(Ack other) noexcept {
    origins_.swap(other.origins_);
    return *this;
  }
  ~Ack() { refuse(); }

  bool empty() const { return origins_.empty(); }

  /// This branch has finished well.
  void settle() { origins_.clear(); }

  /// This branch gives up; the source must offer the batch again.
  void refuse();

  /// Takes over `other`'s duty too, for a stage that makes one output of several inputs.
  void join(Ack other);

 private:
  struct Origin;
  std::vector<std::shared_ptr<Origin>> origins_;
};

}  // namespace millrace
