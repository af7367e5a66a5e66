#pragma once

#include <map>
#include <string>
#include <vector>

#include "runner/graph/pipeline.h"
#include "runner/supervise/virtual_run.h"

namespace millrace::cli {

/// What happened in a test, in order.
class Collected {
 public:
  using Seen = supervise::VirtualRun::Seen;

  struct Row {
    Seen seen;
    std::string stage;
    Time now;     ///< the clock when it came out
    Batch batch;  ///< holds the one record
    const Record& record() const { return batch.records.front(); }
    /// A message to clients has no time of its own.
    Time time() const { return seen == Seen::sent ? now : record().time; }
  };

  explicit Collected(Time start) : start_(start) {}

  Time start() const { return start_; }
  const std::vector<Row>& rows() const { return rows_; }

  void add(Seen seen, const std::string& stage, const Batch& batch, Time now);

  /// An input, as the file has it, before it is put in.
  void input(Time now, std::string text);

  /// Everything in order, a line each, the clock counted from the start; of what sources emit and sinks take only that of
  /// stages in `named`, and of messages to clients only if it has `clients`. A long one is cut in its middle.
  std::string timeline(const graph::Pipeline& pipeline, const std::vector<std::string>& named) const;

 private:
  struct Input {
    Time now;
    std::string text;
    std::size_t before;  ///< how many rows there were
  };

  Time start_;
  std::vector<Row> rows_;
  std::vector<Input> inputs_;
};

/// How far a moment is from the start, for people.
std::string since(Time time, Time start);

/// A row for people: the clock from the start, the stage, what it is, its own time where that is another, the fields.
std::string shown(const Collected::Row& row, Time start);

}  // namespace millrace::cli
