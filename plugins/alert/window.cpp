#include "plugins/alert/window.h"

#include <cassert>
#include <numeric>

namespace millrace::alert {

namespace {

using Extent = WindowPlan::Extent;

Micros unit_of(const Extent& e) {
  if (e.kind == WindowKind::hopping) return std::gcd(e.size, e.hop);
  return 1;
}

SliceLayout layout_of(const Extent& e, Micros unit, std::span<const Aggregate> aggregates, std::uint64_t max_samples) {
  bool one = e.kind == WindowKind::snapshot || e.kind == WindowKind::session;
  SliceLayout::Wanted wanted;
  wanted.timed = e.kind == WindowKind::count;
  // Tags hold 32 bits of slice numbers; twice the window must fit, as slices leave only when the next record comes.
  wanted.wide_indices = wanted.timed || (!one && e.size / unit >= (1LL << 29U));
  wanted.usual = e.kind == WindowKind::hopping ? static_cast<std::uint64_t>(e.size / unit) : max_samples;
  wanted.most = wanted.timed ? static_cast<std::uint64_t>(e.records) + 1 : max_samples;
  wanted.sketch = e.sketch;
  return {Shape(aggregates), wanted};
}

Micros ceil_to(Micros time, Micros grid, Micros offset) { return ceil_div(time - offset, grid) * grid + offset; }

Micros session_end(const Extent& e, Micros start, Micros last) {
  // The first check point at which the session is older than allowed; exactly as old as allowed passes.
  Micros cut = e.exact ? start + e.max_duration : (floor_div(start, e.max_duration) + 2) * e.max_duration;
  return std::min(last + e.timeout, cut);
}

}  // namespace

WindowPlan::WindowPlan(Extent extent_, std::span<const Aggregate> aggregates, std::uint64_t max_samples)
    : extent(extent_), unit(unit_of(extent_)), layout(layout_of(extent_, unit, aggregates, max_samples)) {}

std::string_view name_of(ClosedBy closed_by) {
  constexpr std::string_view names[] = {"", "timeout", "max_duration"};
  return names[static_cast<int>(closed_by)];
}

bool Window::step(const WindowPlan& plan, ClosedWindow& closed) {
  const Extent& e = plan.extent;
  closed.contents = &contents_;
  closed.end = next_;
  switch (e.kind) {
    case WindowKind::hopping: closed.start = next_ - e.size; break;
    case WindowKind::sliding:
      contents_.evict(plan.layout, next_ - e.size);
      closed.start = next_ - e.size;
      break;
    case WindowKind::snapshot: closed.start = next_; break;
    case WindowKind::session:
      closed.start = start_;
      closed.closed_by = last_ + e.timeout == next_ ? ClosedBy::timeout : ClosedBy::max_duration;
      break;
    case WindowKind::count:
    case WindowKind::trailing: return false;
  }
  closed.partial = lacks_from(e, closed.start);
  return !contents_.empty();
}

/// Whether one that starts there, by what was lost up to and including `lost_`, is not whole.
bool Window::lacks_from(const WindowPlan::Extent& e, Micros start) const {
  // A session may have begun before, and moments are no spans that begin after their start.
  if (e.kind == WindowKind::session) return start - e.timeout <= lost_;
  return e.kind == WindowKind::snapshot ? start <= lost_ : start < lost_;
}

void Window::leave(const WindowPlan& plan) {
  const Extent& e = plan.extent;
  switch (e.kind) {
    case WindowKind::hopping:
      // At once, so that there is never more of it than a window.
      contents_.evict(plan.layout, floor_div(next_ + e.hop - e.size - e.offset, plan.unit));
      next_ = contents_.empty() ? for_ever : next_ + e.hop;
      break;
    case WindowKind::sliding: {
      if (last_ <= next_) last_ = never_yet;
      Micros exit = contents_.empty() ? for_ever : contents_.oldest(plan.layout) + e.size;
      next_ = last_ == never_yet ? exit : std::min(exit, last_);
      break;
    }
    case WindowKind::snapshot:
      contents_.clear();
      next_ = for_ever;
      break;
    case WindowKind::session:
      contents_.clear();
      start_ = next_;
      next_ = for_ever;
      break;
    case WindowKind::count:
    case WindowKind::trailing: next_ = for_ever; break;
  }
}

bool Window::take(const WindowPlan& plan, Micros time, double value, ClosedWindow& closed) {
  const Extent& e = plan.extent;
  switch (e.kind) {
    case WindowKind::hopping: {
      // With gaps between windows a record may be in none.
      if (e.hop > e.size && time <= ceil_to(time, e.hop, e.offset) - e.size) return false;
      if (contents_.empty()) next_ = ceil_to(time, e.hop, e.offset);
      bool same_slice = !contents_.empty() && time <= contents_.newest() * plan.unit + e.offset;
      Micros slice = same_slice ? contents_.newest() : ceil_div(time - e.offset, plan.unit);
      contents_.add(plan.layout, slice, time, value);
      return false;
    }
    case WindowKind::sliding:
      contents_.add(plan.layout, time, time, value);
      last_ = time;
      next_ = std::min(next_, time);
      return false;
    case WindowKind::snapshot:
      contents_.add(plan.layout, 0, time, value);
      next_ = time;
      return false;
    case WindowKind::session: take_session(plan, time, value); return false;
    case WindowKind::count: return take_counted(plan, time, value, closed);
    case WindowKind::trailing:
      contents_.evict(plan.layout, time - e.size);
      contents_.add(plan.layout, time, time, value);
      return false;
  }
  return false;
}

void Window::take_session(const WindowPlan& plan, Micros time, double value) {
  const Extent& e = plan.extent;
  if (contents_.empty()) {
    // Cut by its maximum while records still came: the next one goes on from the cut.
    bool goes_on = last_ != never_yet && time <= last_ + e.timeout;
    if (!goes_on) start_ = time;
  }
  contents_.add(plan.layout, 0, time, value);
  last_ = time;
  next_ = session_end(e, start_, last_);
}

bool Window::take_counted(const WindowPlan& plan, Micros time, double value, ClosedWindow& closed) {
  const Extent& e = plan.extent;
  Micros ordinal = start_ == never_yet ? 1 : start_ + 1;
  start_ = ordinal;
  contents_.evict(plan.layout, ordinal - e.records);
  contents_.add(plan.layout, ordinal, time, value);
  if (ordinal < e.records || ordinal % e.every != 0) return false;
  closed = {contents_.oldest_time(plan.layout), time, ClosedBy::nothing, false, &contents_};
  closed.partial = closed.start < lost_;
  return true;
}

void Window::lose(Micros newest) {
  if (!contents_.empty()) lost_ = newest;
  contents_.clear();
  next_ = for_ever;
  start_ = last_ = never_yet;
}

void Window::save(const WindowPlan& plan, Writer& out) const {
  out.put(next_);
  out.put(start_);
  out.put(last_);
  out.put(lost_);
  contents_.save(plan.layout, out);
}

bool Window::load(const WindowPlan& plan, Reader& in) {
  next_ = in.get<Micros>();
  start_ = in.get<Micros>();
  last_ = in.get<Micros>();
  lost_ = in.get<Micros>();
  if (!contents_.load(plan.layout, in) || !in.good()) return false;
  // What an earlier version saved may hold a slice that no window needs any more.
  const Extent& e = plan.extent;
  if (e.kind == WindowKind::hopping) contents_.evict(plan.layout, floor_div(next_ - e.size - e.offset, plan.unit));
  return true;
}

}  // namespace millrace::alert
