#include "runner/stage/ack.h"

#include <atomic>
#include <utility>

namespace millrace {

struct Ack::Origin {
  std::function<void(Settlement)> done;
  std::atomic<bool> refused{false};

  explicit Origin(std::function<void(Settlement)> d) : done(std::move(d)) {}
  ~Origin() { done(refused.load(std::memory_order_acquire) ? Settlement::refused : Settlement::settled); }
};

Ack::Ack(std::function<void(Settlement)> done) { origins_.push_back(std::make_shared<Origin>(std::move(done))); }

void Ack::refuse() {
  for (auto& origin : origins_) origin->refused.store(true, std::memory_order_release);
  origins_.clear();
}

void Ack::join(Ack other) {
  for (auto& origin : other.origins_) origins_.push_back(std::move(origin));
  other.origins_.clear();
}

}  // namespace millrace
