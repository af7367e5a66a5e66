#include "plugins/signalr/stream_writer.h"

#include <array>
#include <utility>

namespace millrace::signalr {

bool StreamWriter::write(Outgoing& queue) {
  if (waits_) return queue.empty();
  std::array<std::string_view, 16> pieces;
  pieces[0] = joined_.of(queue.whole());
  bool joined = !pieces[0].empty();
  while (!queue.empty()) {
    // What is left after that is this client's alone.
    std::size_t count = std::exchange(joined, false) ? 1 : queue.front(pieces);
    if (count == 0) return false;
    http::Io io = stream_.write(std::span(pieces).first(count));
    queue.sent(io.bytes);
    if (io.closed) {
      owner_.broken();  // what waits may still go out on another connection
      return false;
    }
    if (io.bytes > 0) continue;
    waits_ = true;
    stream_.when_writable([this] {
      waits_ = false;
      owner_.writable();
      resumed_();
    });
    return false;
  }
  return true;
}

}  // namespace millrace::signalr
