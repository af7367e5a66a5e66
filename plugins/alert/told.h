#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <span>

#include "plugins/alert/life_cycle.h"

namespace millrace::alert {

/// The latest change of an alert that concerns people, and what there was to see. One block of memory together with its
/// figures, as there is one for each alert.
class Told {
 public:
  static std::unique_ptr<Told> make(const Change& change, double value, std::span<const double> figures) {
    return std::unique_ptr<Told>(new (Room{figures.size()}) Told(change, value, figures));
  }

  Change change() const { return {.from = from_, .to = to_, .level = level_, .reason = reason_, .at = at_}; }
  double value() const { return value_; }
  std::span<const double> figures() const { return {reinterpret_cast<const double*>(this + 1), figures_}; }

  static void operator delete(void* block) { ::operator delete(block); }

 private:
  /// For so many figures behind it. A type of its own, as a size would make the delete below one for all.
  struct Room {
    std::size_t figures;
  };
  Told(const Change& change, double value, std::span<const double> figures)
      : at_(change.at),
        value_(value),
        figures_(static_cast<std::uint32_t>(figures.size())),
        from_(change.from),
        to_(change.to),
        reason_(change.reason),
        level_(static_cast<std::uint8_t>(change.level)) {
    std::copy(figures.begin(), figures.end(), reinterpret_cast<double*>(this + 1));
  }
  static void* operator new(std::size_t size, Room room) { return ::operator new(size + room.figures * sizeof(double)); }
  static void operator delete(void* block, Room /*room*/) { ::operator delete(block); }

  Micros at_;
  double value_;
  std::uint32_t figures_;
  State from_, to_;
  Reason reason_;
  std::uint8_t level_;
};

}  // namespace millrace::alert
