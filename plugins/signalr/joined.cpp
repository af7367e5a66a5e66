#include "plugins/signalr/joined.h"

#include <algorithm>

namespace millrace::signalr {

std::string_view Joined::of(std::span<const SharedFrame> frames) {
  if (!open_ || frames.size() < 2) return {};
  auto known = std::find_if(lists_.begin(), lists_.end(), [&](const List& list) {
    return std::equal(frames.begin(), frames.end(), list.frames.begin(), list.frames.end());
  });
  if (known == lists_.end()) {
    List list{.frames = {frames.begin(), frames.end()}};
    if (lists_.size() < most) {
      lists_.push_back(std::move(list));
    } else {
      lists_[replaced_++ % most] = std::move(list);
    }
    return {};
  }
  if (!known->bytes.empty() || known->too_large) return known->bytes;
  std::size_t size = 0;
  for (const SharedFrame& frame : frames) size += frame->bytes.size();
  known->too_large = size > largest;
  if (known->too_large) return {};
  known->bytes.reserve(size);
  for (const SharedFrame& frame : frames) known->bytes += frame->bytes;
  return known->bytes;
}

void Joined::end() {
  open_ = false;
  lists_.clear();
}

}  // namespace millrace::signalr
