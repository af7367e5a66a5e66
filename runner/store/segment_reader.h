#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runner/store/segment.h"

namespace millrace::store {

/// A place in a segment, with a window of its bytes in memory.
class SegmentReader {
 public:
  SegmentReader() = default;
  explicit SegmentReader(std::shared_ptr<Segment> segment) : segment_(std::move(segment)), sequence_(segment_->first()) {}

  const std::shared_ptr<Segment>& segment() const { return segment_; }

  /// Sequence of the record that should stand here.
  std::uint64_t sequence() const { return sequence_; }

  /// True if everything written so far has been read.
  bool at_end() const { return !segment_ || offset_ >= segment_->end(); }

  /// The record that stands here; Kind::nothing if it is not the one of sequence(). May load a new window of about
  /// `window` bytes, which invalidates the views handed out before, only if `may_load`; else Kind::cut says that it has to.
  Decoded peek(bool may_load, std::uint64_t window);

  /// Past the record just seen.
  void skip(const Decoded& record);

  /// To the next record, here or further on, of sequence() or a higher one, which sequence() then is; false if there is none:
  /// then past all that was written when it began.
  bool search();

  /// To the end of what is written: there is nothing more here.
  void finish();

  /// Where the reader stands.
  std::uint64_t offset() const { return offset_; }

 private:
  std::string_view rest() const;
  bool load(std::uint64_t size);

  std::shared_ptr<Segment> segment_;
  std::uint64_t offset_ = 0;
  std::uint64_t sequence_ = 0;
  std::string buffer_;
  std::string_view window_;
  std::uint64_t window_start_ = 0;
};

}  // namespace millrace::store
