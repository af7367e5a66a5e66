#pragma once

#include <map>
#include <string>
#include <vector>

#include "runner/graph/definition.h"
#include "runner/stage/record.h"

namespace millrace::cli {

/// What a pipeline has emitted in a test, in order.
class Collected {
 public:
  struct Row {
    std::string stage;
    Time at;      ///< the record's time
    Batch batch;  ///< holds the one record
    const Record& record() const { return batch.records.front(); }
  };

  explicit Collected(Time start) : start_(start) {}

  void add(const std::string& stage, const Batch& batch, Time now);
  Time start() const { return start_; }
  const std::vector<Row>& rows() const { return rows_; }

 private:
  Time start_;
  std::vector<Row> rows_;
};

/// What differs between a test's `expect` and what came, as text for people with the timeline; empty if nothing does.
///
/// Expected rows name the members that they care for. `alerts` are the transitions of all stages, but for PENDING, cancelled
/// and RECOVERING ones unless a row of the test names such a state; `at` counts from the start.
std::string differences(const graph::TestCase::Expect& expect, const Collected& collected,
                        const std::map<std::string, std::uint64_t>& emitted);

}  // namespace millrace::cli
