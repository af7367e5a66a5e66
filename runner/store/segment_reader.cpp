#include "runner/store/segment_reader.h"

#include <algorithm>

namespace millrace::store {

std::string_view SegmentReader::rest() const {
  if (offset_ < window_start_ || offset_ - window_start_ > window_.size()) return {};
  return window_.substr(offset_ - window_start_);
}

bool SegmentReader::load(std::uint64_t size) {
  auto bytes = segment_->read(offset_, size, buffer_);
  window_ = bytes ? *bytes : std::string_view();
  window_start_ = offset_;
  return bytes.has_value();
}

Decoded SegmentReader::peek(bool may_load, std::uint64_t window) {
  Decoded decoded = decode_record(rest());
  if (decoded.kind == Decoded::Kind::cut) {
    if (!may_load) return decoded;
    if (!load(std::max(window, decoded.size))) return {Decoded::Kind::failed, 0, {}};
    decoded = decode_record(window_);
    const bool whole = decoded.size <= segment_->end() - std::min(offset_, segment_->end());
    if (decoded.kind == Decoded::Kind::cut && whole && decoded.size > window_.size()) {
      if (!load(decoded.size)) return {Decoded::Kind::failed, 0, {}};
      decoded = decode_record(window_);
    }
    // What claims to reach beyond the end was never written whole.
    if (decoded.kind == Decoded::Kind::cut) decoded.kind = Decoded::Kind::nothing;
  }
  if (decoded.kind == Decoded::Kind::record && decoded.message.sequence != sequence_) decoded.kind = Decoded::Kind::nothing;
  return decoded;
}

void SegmentReader::skip(const Decoded& record) {
  offset_ += record.size;
  ++sequence_;
}

void SegmentReader::finish() { offset_ = std::max(offset_, segment_->end()); }

bool SegmentReader::search() {
  const std::uint64_t until = segment_->end();
  load(until - std::min(offset_, until));
  for (std::string_view bytes = window_; bytes.size() >= record_header;
       bytes.remove_prefix(std::min<std::size_t>(8, bytes.size()))) {
    Decoded decoded = decode_record(bytes);
    if (decoded.kind != Decoded::Kind::record) continue;
    if (static_cast<std::int64_t>(decoded.message.sequence - sequence_) < 0) continue;
    offset_ += window_.size() - bytes.size();
    sequence_ = decoded.message.sequence;
    return true;
  }
  offset_ = std::max(offset_, until);
  return false;
}

}  // namespace millrace::store
