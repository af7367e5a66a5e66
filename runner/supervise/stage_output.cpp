#include <algorithm>
#include <utility>

#include "runner/supervise/stage_runner.h"

// How what a stage emits gets into its links.

namespace millrace::supervise {
namespace {

bool takes(const StageRunner::Output& output, const Record& record) {
  // People are told by notifications; what an alert stage emits besides is for everybody else.
  if (record.kind == kind::alert || record.kind == kind::window) return !output.reader_tells_people;
  if (record.kind != kind::notification) return true;
  if (!output.reader_tells_people) return false;
  const Value* link = record.meta.find("link");
  return !link || link->type() != Type::string || link->as_text() == output.reader;
}

bool only_telemetry(const Batch& batch) {
  return std::all_of(batch.records.begin(), batch.records.end(),
                     [](const Record& r) { return r.kind.data() == kind::telemetry.data() || r.kind == kind::telemetry; });
}

}  // namespace

void StageRunner::emit(Batch batch, Ack inherited) {
  Ack ack = std::move(batch.ack);
  ack.join(std::move(inherited));
  if (batch.empty()) {
    ack.settle();
    return;
  }
  host_->figures().records_out.add(batch.size());
  if (observer_) observer_(batch);
  distribute(std::move(batch), std::move(ack));
}

void StageRunner::distribute(Batch batch, Ack ack) {
  auto whole = std::make_shared<Batch>(std::move(batch));
  std::vector<link::Link*> take_all;
  if (only_telemetry(*whole)) {
    for (Output& output : outputs_) take_all.push_back(output.link);
  } else {
    for (Output& output : outputs_) {
      auto wanted =
          std::count_if(whole->records.begin(), whole->records.end(), [&](const Record& r) { return takes(output, r); });
      if (wanted == std::ssize(whole->records)) {
        take_all.push_back(output.link);
      } else if (wanted > 0) {
        auto part = std::make_shared<Batch>(whole->copy());
        std::erase_if(part->records, [&](const Record& r) { return !takes(output, r); });
        output.link->send({std::move(part), false, ack});
      }
    }
  }
  for (std::size_t i = 0; i + 1 < take_all.size(); ++i) take_all[i]->send({whole, true, ack});
  if (!take_all.empty()) {
    bool shared = take_all.size() > 1;
    take_all.back()->send({std::move(whole), shared, ack});
  }
  ack.settle();
}

}  // namespace millrace::supervise
