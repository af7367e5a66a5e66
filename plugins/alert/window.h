#pragma once

#include <string_view>

#include "plugins/alert/slices.h"

namespace millrace::alert {

enum class WindowKind : std::uint8_t {
  hopping,   ///< (end - size, end], end on the grid of hop and offset; tumbling where hop is size
  sliding,   ///< (T - size, T] at every T where a record enters or leaves
  snapshot,  ///< records of equal time
  session,   ///< records with gaps of at most `timeout`
  count,     ///< the last `records`, at every `every`th
  trailing,  ///< (t - size, t] at each record t; asked for, never emitted
};

/// One rule's windows: kind, extent, and how their contents are kept. Immutable, for all keys.
struct WindowPlan {
  struct Extent {
    WindowKind kind = WindowKind::trailing;
    Micros size = 0, hop = 0, offset = 0;
    Micros timeout = 0, max_duration = 0;
    bool exact = false;  ///< sessions are cut at start + max_duration, not at multiples of it
    std::int64_t records = 0, every = 0;
    bool sketch = false;  ///< percentiles are estimated from the first value on
  };

  WindowPlan(Extent extent, std::span<const Aggregate> aggregates, std::uint64_t max_samples);

  Extent extent;
  Micros unit;  ///< length of a slice
  SliceLayout layout;
};

enum class ClosedBy : std::uint8_t { nothing, timeout, max_duration };
std::string_view name_of(ClosedBy closed_by);

/// A window that has closed. `contents` is what was in it; valid during the call that it is passed to.
struct ClosedWindow {
  Micros start = 0;
  Micros end = 0;
  ClosedBy closed_by = ClosedBy::nothing;
  bool partial = false;  ///< contents were lost in a restart
  const Slices* contents = nullptr;
};

/// The windows of one key under one plan. Records must be added in order of event time, each after advance() to its time;
/// nothing here looks at a clock. `emit` is any callable on a ClosedWindow.
class Window {
 public:
  /// Closes, in order, the windows that end before `before`.
  template <class Emit>
  void advance(const WindowPlan& plan, Micros before, Emit&& emit) {
    while (deadline() < before) {
      ClosedWindow closed;
      if (step(plan, closed)) emit(static_cast<const ClosedWindow&>(closed));
      leave(plan);
    }
  }

  /// Takes a record in; a count window may close by it.
  template <class Emit>
  void add(const WindowPlan& plan, Micros time, double value, Emit&& emit) {
    ClosedWindow closed;
    if (take(plan, time, value, closed)) emit(static_cast<const ClosedWindow&>(closed));
  }

  // For windows that close together: while deadline() lies before, close() all, look at them, then leave() all.

  /// The next to close; false if it is empty and is not to be told of.
  bool close(const WindowPlan& plan, ClosedWindow& closed) { return step(plan, closed); }
  void leave(const WindowPlan& plan);
  /// Takes a record in; true if a count window has closed by it.
  bool take(const WindowPlan& plan, Micros time, double value, ClosedWindow& closed);

  /// For a trailing window: its contents as of `time`.
  const Slices& trailing(const WindowPlan& plan, Micros time) {
    contents_.evict(plan.layout, time - plan.extent.size);
    return contents_;
  }
  bool partial_at(Micros start) const { return start < lost_; }

  /// The event time that the watermark must pass for something to close; for_ever if nothing is open.
  Micros deadline() const { return next_; }
  bool empty() const { return contents_.empty() && next_ >= for_ever; }

  /// All contents are gone; whatever began before `newest` will be partial.
  void lose(Micros newest);

  /// The same where it is not known whether there were any.
  void begin_partial(Micros newest) { lost_ = newest; }

  /// Brings the memory that the next record will be written to nearer.
  [[gnu::always_inline]] void prefetch() const { contents_.prefetch(); }
  [[gnu::always_inline]] void prefetch_values() const { contents_.prefetch_values(); }
  /// And what a close will need.
  [[gnu::always_inline]] void prefetch_oldest(const WindowPlan& plan) const { contents_.prefetch_oldest(plan.layout); }
  [[gnu::always_inline]] void prefetch_oldest_values() const { contents_.prefetch_oldest_values(); }

  std::size_t memory(const WindowPlan& plan) const { return contents_.memory(plan.layout); }
  void save(const WindowPlan& plan, Writer& out) const;
  bool load(const WindowPlan& plan, Reader& in);

 private:
  bool step(const WindowPlan& plan, ClosedWindow& closed);
  bool lacks_from(const WindowPlan::Extent& extent, Micros start) const;
  void take_session(const WindowPlan& plan, Micros time, double value);
  bool take_counted(const WindowPlan& plan, Micros time, double value, ClosedWindow& closed);

  Micros next_ = for_ever;  ///< hopping: next end; sliding: next T; snapshot: its time; session: its end
  Slices contents_;
  Micros start_ = never_yet;  ///< session: start, or where it was cut; count: records seen
  Micros last_ = never_yet;   ///< session: last record; sliding: newest entry not emitted yet
  Micros lost_ = never_yet;
};

}  // namespace millrace::alert
