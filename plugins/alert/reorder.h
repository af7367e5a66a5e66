#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "plugins/alert/codec.h"
#include "plugins/alert/event_time.h"

namespace millrace::alert {

/// Records of one key that wait for the watermark, in order of event time; equal times in order of arrival.
class Reorder {
 public:
  bool empty() const { return times_.empty(); }
  std::size_t size() const { return times_.size(); }
  Micros front() const { return times_.front(); }

  void insert(Micros time, std::span<const double> inputs) {
    auto at = std::upper_bound(times_.begin(), times_.end(), time) - times_.begin();
    times_.insert(times_.begin() + at, time);
    inputs_.insert(inputs_.begin() + at * static_cast<std::ptrdiff_t>(inputs.size()), inputs.begin(), inputs.end());
  }

  /// Passes on all up to and including `watermark`: release(time, inputs).
  template <class Release>
  void release(Micros watermark, std::size_t inputs, Release&& release) {
    auto ready = static_cast<std::size_t>(std::upper_bound(times_.begin(), times_.end(), watermark) - times_.begin());
    for (std::size_t i = 0; i < ready; ++i) release(times_[i], inputs_.data() + i * inputs);
    times_.erase(times_.begin(), times_.begin() + static_cast<std::ptrdiff_t>(ready));
    inputs_.erase(inputs_.begin(), inputs_.begin() + static_cast<std::ptrdiff_t>(ready * inputs));
  }

  void save(Writer& out) const {
    out.put(static_cast<std::uint32_t>(times_.size()));
    out.raw(times_.data(), times_.size() * sizeof(Micros));
    out.raw(inputs_.data(), inputs_.size() * sizeof(double));
  }
  bool load(Reader& in, std::size_t inputs) {
    auto count = in.get<std::uint32_t>();
    std::string_view times = in.bytes(count * sizeof(Micros));
    std::string_view values = in.bytes(count * inputs * sizeof(double));
    if (!in.good()) return false;
    times_.resize(count);
    inputs_.resize(count * inputs);
    std::copy(times.begin(), times.end(), reinterpret_cast<char*>(times_.data()));
    std::copy(values.begin(), values.end(), reinterpret_cast<char*>(inputs_.data()));
    return true;
  }

 private:
  std::vector<Micros> times_;
  std::vector<double> inputs_;
};

}  // namespace millrace::alert
