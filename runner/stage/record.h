#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "runner/stage/ack.h"
#include "runner/stage/arena.h"
#include "runner/stage/time.h"
#include "runner/stage/value.h"

namespace millrace {

/// What a record is. Any text is allowed; these are the ones that stages know.
namespace kind {
inline constexpr std::string_view telemetry = "telemetry";
inline constexpr std::string_view alert = "alert";                ///< a transition of an alert
inline constexpr std::string_view notification = "notification";  ///< people are to be told; only push stages read it
inline constexpr std::string_view window = "window";              ///< the aggregates of one window
inline constexpr std::string_view presence = "presence";
}  // namespace kind

/// One reading, alert or notice on its way through a pipeline. Views point into its batch's arena or static storage.
struct Record {
  std::string_view device;  ///< the key; empty if the payload has none
  Time time{};              ///< event time
  Time arrival{};           ///< when the source received it
  std::string_view kind = kind::telemetry;
  FieldList fields;
  FieldList meta;              ///< topic and whatever else its source knows
  std::uint32_t source = 0;    ///< which replayable source it came from; 0 is none
  std::uint64_t sequence = 0;  ///< that source's number of it, increasing; the same again after a replay
};

/// Records that travel together. Moved by value, never shared while somebody may write; where one stage feeds several they
/// share it as immutable and a writer takes copy().
class Batch {
 public:
  Batch() = default;
  Batch(Batch&&) = default;
  Batch& operator=(Batch&&) = default;

  std::vector<Record> records;

  /// Settles the input. A source sets it on what poll() returns; the runner takes it off before any other stage sees the batch.
  Ack ack;

  bool empty() const { return records.empty(); }
  std::size_t size() const { return records.size(); }

  /// Where names, texts and lists of this batch's records live.
  Arena& arena();

  /// A new record at the end, its kind telemetry.
  Record& append() { return records.emplace_back(); }

  /// A deep copy of a record of another batch at the end.
  Record& append_copy(const Record& record);

  /// Moves all of `other`'s records to the end; their memory comes along. Takes no Ack.
  void splice(Batch&& other);

  /// A batch of its own with the same records, without the Ack. Texts stay shared with the original, which no longer changes.
  Batch copy() const;

  /// Bytes held, for links' limits: an estimate, never less than the texts.
  std::size_t bytes() const;

 private:
  std::shared_ptr<Arena> arena_;
  std::vector<std::shared_ptr<const Arena>> borrowed_;
};

}  // namespace millrace
