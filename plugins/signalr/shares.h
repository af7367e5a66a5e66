#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

namespace millrace::signalr {

/// How many of the hub's places each asker holds, so that none takes those of all others. Belongs to the loop's thread.
class Shares {
  using Table = std::unordered_map<std::string, std::size_t>;

 public:
  /// One place. It is free again when this is gone.
  class Share {
   public:
    Share(std::shared_ptr<Table> table, std::string asker) : table_(std::move(table)), asker_(std::move(asker)) {}
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() {
      auto held = table_->find(asker_);
      if (--held->second == 0) table_->erase(held);
    }

   private:
    std::shared_ptr<Table> table_;
    std::string asker_;
  };
  using Held = std::shared_ptr<const Share>;

  explicit Shares(std::size_t most) : most_(most) {}

  /// One more place for the asker; null if it holds as many as anybody may.
  Held take(const std::string& asker) {
    std::size_t& held = (*table_)[asker];
    if (held >= most_) return nullptr;
    ++held;
    return std::make_shared<const Share>(table_, asker);
  }

  /// How many hold any.
  std::size_t askers() const { return table_->size(); }

 private:
  std::size_t most_;  ///< at least 1
  std::shared_ptr<Table> table_ = std::make_shared<Table>();
};

}  // namespace millrace::signalr
