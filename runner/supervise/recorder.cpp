#include "runner/supervise/recorder.h"

#include <vector>

#include "runner/link/wire.h"
#include "runner/store/recording.h"

namespace millrace::supervise {
namespace {

constexpr std::size_t queue_bytes = 16U << 20U;
/// Rows gather for so long before they are written together.
constexpr auto gather = std::chrono::milliseconds(100);
/// How often age is looked at while nothing arrives.
constexpr auto look_again = std::chrono::minutes(1);

}  // namespace

Recorder::Recorder(Place place, const graph::RecordKeys& options, bool begins)
    : place_(std::move(place)), options_(options), begins_(begins), thread_([this](std::stop_token stop) { run(stop); }) {}

Recorder::~Recorder() {
  thread_.request_stop();
  filled_.notify_all();
}

void Recorder::take(const std::string& source, const Batch& batch, std::shared_ptr<StageFigures> figures) {
  const std::size_t bytes = batch.bytes();
  {
    std::lock_guard lock(mutex_);
    if (waiting_bytes_ + bytes > queue_bytes) {
      figures->counted("recording_left_out_queue_full").add(batch.size());
      return;
    }
    waiting_bytes_ += bytes;
  }
  Waiting one{source, place_.clock->now(), batch.copy(), bytes, std::move(figures)};
  std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(one));
  if (waiting_.size() == 1) filled_.notify_one();
}

void Recorder::run(std::stop_token stop) {
  for (bool last = false; !last;) {
    std::deque<Waiting> waiting;
    {
      std::unique_lock lock(mutex_);
      filled_.wait_for(lock, stop, look_again, [&] { return !waiting_.empty(); });
      if (!stop.stop_requested()) filled_.wait_for(lock, stop, gather, [] { return false; });
      last = stop.stop_requested();
      waiting.swap(waiting_);
      waiting_bytes_ = 0;
    }
    write(std::move(waiting));
  }
}

void Recorder::write(std::deque<Waiting> waiting) {
  std::vector<store::RecordedBatch> rows;
  if (begins_) rows.push_back({{}, waiting.empty() ? place_.clock->now() : waiting.front().at, 0, {}});
  for (const Waiting& one : waiting)
    rows.push_back({one.source, one.at, static_cast<std::uint32_t>(one.batch.size()), link::wire::encode_batch(one.batch)});
  auto fail = [&](const Error& error) {
    if (!std::exchange(told_, true) && place_.log) place_.log(LogLevel::error, error.what + "; going on without");
    for (const Waiting& one : waiting) one.figures->counted("recording_left_out_disk").add(one.batch.size());
  };
  if (!recording_) {
    auto opened = store::Recording::open(place_.folder, place_.pipeline, place_.log);
    if (!opened) return fail(opened.error());
    recording_ = std::move(*opened);
  }
  auto trimmed = recording_->append(rows, {options_.keep, options_.limit.count}, place_.clock->now());
  if (!trimmed) {
    recording_.reset();
    return fail(trimmed.error());
  }
  if (std::exchange(told_, false) && place_.log) place_.log(LogLevel::info, "the recording is written again");
  begins_ = false;
  for (const Waiting& one : waiting) one.figures->counted("recorded").add(one.batch.size());
  if (!waiting.empty()) latest_ = waiting.back().figures;
  if (latest_ && trimmed->by_age > 0) latest_->counted("recording_gone_by_age").add(trimmed->by_age);
  if (latest_ && trimmed->by_size > 0) latest_->counted("recording_gone_by_size").add(trimmed->by_size);
}

}  // namespace millrace::supervise
