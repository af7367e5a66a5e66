#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "runner/supervise/running_pipeline.h"
#include "runner/supervise/spool.h"

// The links of a pipeline, and what becomes of those that a new version no longer has.

namespace millrace::supervise {
namespace {

store::Inbox::Sync sync_of(graph::SpoolSync sync) {
  switch (sync) {
    case graph::SpoolSync::os: return store::Inbox::Sync::os;
    case graph::SpoolSync::timed: return store::Inbox::Sync::timed;
    case graph::SpoolSync::always: return store::Inbox::Sync::always;
  }
  return store::Inbox::Sync::os;
}

}  // namespace

void RunningPipeline::link() {
  auto old = std::exchange(links_, {});
  for (const Slot& reader : slots_) {
    for (std::size_t sender : reader.definition.from) {
      LinkKey key{slots_[sender].definition.id, reader.definition.id};
      LinkShape shape = link_shape(slots_[sender].definition, reader.definition);
      auto before = old.find(key);
      if (before != old.end() && !before->second.leftover && before->second.shape == shape) {
        links_[key] = std::move(before->second);
        continue;
      }
      std::deque<link::Envelope> waiting;
      if (before != old.end()) {
        waiting = before->second.link->drain();
        if (before->second.leftover) std::erase_if(waiting, [](const link::Envelope& e) { return !e.batch; });
        before->second.link.reset();  // and with it the right to its spool
      }
      auto ends = shape.one_thread ? link::Link::Ends::one_thread : link::Link::Ends::two_threads;
      auto made = make_link(ends, key.first, reader.definition);
      bool ended = false;
      for (link::Envelope& envelope : waiting) {
        ended |= !envelope.batch;
        made->send(std::move(envelope));
      }
      if (slots_[sender].runner->condition() == Condition::done && !ended) made->send({});
      links_[key] = {std::move(made), std::move(shape)};
    }
  }
  for (auto& [key, gone] : old)
    if (gone.link) let_go(key, std::move(gone));
  find_leftovers();
}

std::unique_ptr<link::Link> RunningPipeline::make_link(link::Link::Ends ends, const std::string& sender,
                                                       const graph::Stage& reader) {
  auto made = std::make_unique<link::Link>(ends, link::Limits{reader.queue.records, reader.queue.bytes.count}, reader.on_full,
                                           spool_of(sender, reader));
  auto& figures = *figures_[reader.id];
  made->counters().dropped_oldest = &figures.dropped("drop_oldest");
  made->counters().dropped_newest = &figures.dropped("drop_newest");
  made->counters().conflated = &figures.dropped("conflated");
  return made;
}

/// A link that the version now has not. Its reader, where that is still one, gets what waits in it; for one that is gone it was
/// meant no longer.
void RunningPipeline::let_go(const LinkKey& key, MadeLink gone) {
  if (const Slot* reader = reader_named(key.second)) {
    if (gone.leftover) {
      links_[key] = std::move(gone);
    } else {
      std::deque<link::Envelope> waiting = gone.link->drain();
      gone.link.reset();
      add_leftover(key.first, *reader, std::move(waiting));
    }
    return;
  }
  for (link::Envelope& envelope : gone.link->drain()) {
    if (envelope.batch) figures_[key.second]->dropped("stage_removed").add(envelope.batch->size());
    envelope.ack.settle();
  }
}

/// What the spools of a former wiring still hold for stages of this one.
void RunningPipeline::find_leftovers() {
  if (services_->data_folder.empty()) return;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(services_->data_folder / "spool" / name_, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const std::size_t plus = name.find('+');
    if (plus == std::string::npos) continue;
    const Slot* reader = reader_named(name.substr(plus + 1));
    if (reader && !links_.contains({name.substr(0, plus), reader->definition.id}))
      add_leftover(name.substr(0, plus), *reader, {});
  }
}

/// A link without a sender, which ends with what is in it. Its reader has both of its ends, and stands still.
void RunningPipeline::add_leftover(const std::string& sender, const Slot& reader, std::deque<link::Envelope> waiting) {
  std::erase_if(waiting, [](const link::Envelope& envelope) { return !envelope.batch; });
  std::error_code error;
  if (waiting.empty() && !std::filesystem::exists(spool_folder(sender, reader.definition.id), error)) return;
  auto made = make_link(link::Link::Ends::one_thread, sender, reader.definition);
  for (link::Envelope& envelope : waiting) made->send(std::move(envelope));
  made->send({});
  links_[{sender, reader.definition.id}] = {std::move(made), {}, true};
}

/// The stage of that name, if it takes input.
const RunningPipeline::Slot* RunningPipeline::reader_named(const std::string& id) const {
  auto found = std::find_if(slots_.begin(), slots_.end(),
                            [&](const Slot& s) { return s.definition.id == id && !s.definition.from.empty(); });
  return found == slots_.end() ? nullptr : &*found;
}

std::filesystem::path RunningPipeline::spool_folder(const std::string& sender, const std::string& reader) const {
  return services_->data_folder / "spool" / name_ / (sender + "+" + reader);
}

/// Also where the policy is another now, if a former one has left something.
std::unique_ptr<link::Spool> RunningPipeline::spool_of(const std::string& sender, const graph::Stage& reader) {
  if (services_->data_folder.empty()) return nullptr;
  std::filesystem::path folder = spool_folder(sender, reader.id);
  std::error_code error;
  if (reader.on_full != Overflow::spool && !std::filesystem::exists(folder, error)) return nullptr;
  store::Inbox::Options options;
  options.limit = reader.spool.limit.count;
  options.sync = sync_of(reader.spool.sync);
  options.log = [log = services_->log, name = name_ + "/" + reader.id](LogLevel level, std::string_view text) {
    if (log) log(level, fmt::format("{}: {}", name, text));
  };
  options.on_lost = [figures = figures_[reader.id], &lost = figures_[reader.id]->counted(spool_lost)](std::uint64_t batches) {
    lost.add(batches);
  };
  return std::make_unique<DiskSpool>(std::move(folder), std::move(options), *services_, figures_[reader.id], sender);
}

}  // namespace millrace::supervise
