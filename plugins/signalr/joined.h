#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/signalr/frame.h"

namespace millrace::signalr {

/// Several frames that many clients are sent in one turn, as the one buffer that the socket gets: the kernel takes one buffer
/// for much less than a list of small ones. Made once for all of them. Belongs to the loop's thread.
class Joined {
 public:
  static constexpr std::size_t largest = 64U << 10U;  ///< bytes of a buffer; longer lists stay lists
  static constexpr std::size_t most = 8;              ///< lists known at a time: protocols and audiences alternate

  /// Between these two, frames are joined, and those last asked for are held on to.
  void begin() { open_ = true; }
  void end();

  /// The frames in one, from the second time that just these are asked for; else nothing: who alone is sent something does not
  /// pay for a copy of it. Valid until the next call.
  std::string_view of(std::span<const SharedFrame> frames);

 private:
  struct List {
    std::vector<SharedFrame> frames;  ///< held, so that no other can take the place of one in memory
    std::string bytes = {};           ///< of all, once they are wanted
    bool too_large = false;
  };

  bool open_ = false;
  std::vector<List> lists_;
  std::size_t replaced_ = 0;  ///< counts those that made room
};

}  // namespace millrace::signalr
