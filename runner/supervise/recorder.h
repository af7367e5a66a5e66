#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "runner/graph/definition.h"
#include "runner/stage/context.h"
#include "runner/stage/record.h"
#include "runner/supervise/stage_host.h"

namespace millrace::store {
class Recording;
}

namespace millrace::supervise {

/// Keeps what a pipeline's sources hand on, for `millrace replay`. take() copies the batch's fields and returns; packing and
/// writing are done by a thread of its own. Where that cannot keep up, or its disk is full, batches are left out and counted;
/// the pipeline never waits.
class Recorder {
 public:
  struct Place {
    std::filesystem::path folder;  ///< the instance's data folder
    std::string pipeline;
    const Clock* clock = nullptr;
    std::function<void(LogLevel, std::string_view)> log;
  };

  /// `begins`: the process has just begun with this pipeline, which is noted.
  Recorder(Place place, const graph::RecordKeys& options, bool begins);

  /// Writes what waits.
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  const graph::RecordKeys& options() const { return options_; }

  /// From a source's own thread, before the batch goes on. `figures` are the source's and outlive the recorder; they get
  /// `recorded`, `recording_left_out_queue_full`, `recording_left_out_disk`, `recording_gone_by_age` and
  /// `recording_gone_by_size`.
  void take(const std::string& source, const Batch& batch, std::shared_ptr<StageFigures> figures);

 private:
  struct Waiting {
    std::string source;
    Time at;
    Batch batch;
    std::size_t bytes;
    std::shared_ptr<StageFigures> figures;
  };

  void run(std::stop_token stop);
  void write(std::deque<Waiting> waiting);

  const Place place_;
  const graph::RecordKeys options_;
  bool begins_;
  std::unique_ptr<store::Recording> recording_;  ///< of the thread
  bool told_ = false;                            ///< that it cannot be written
  std::shared_ptr<StageFigures> latest_;         ///< of the thread: whose count tells what had to go

  std::mutex mutex_;
  std::condition_variable_any filled_;
  std::deque<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;

  std::jthread thread_;  ///< last: it uses all of the above
};

}  // namespace millrace::supervise
