#include "plugins/signalr/stream_writer.h"

#include <array>

namespace millrace::signalr {

bool StreamWriter::write(Outgoing& queue) {
  if (waits_) return queue.empty();
  std::array<std::string_view, 16> pieces;
  while (!queue.empty()) {
    pieces[0] = joined_.of(queue.whole());
    std::size_t count = pieces[0].empty() ? queue.front(pieces) : 1;
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
