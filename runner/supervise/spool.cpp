#include "runner/supervise/spool.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "runner/link/wire.h"

namespace millrace::supervise {
namespace {

/// How often a disk that refuses is tried, and complained of.
constexpr Duration retry = 1s;

}  // namespace

DiskSpool::DiskSpool(std::filesystem::path folder, store::Inbox::Options options, Services& services,
                     std::shared_ptr<StageFigures> figures, const std::string& sender)
    : folder_(std::move(folder)),
      options_(std::move(options)),
      services_(services),
      spooled_(figures, &figures->spooled(sender)) {
  std::error_code error;
  wanted_ = std::filesystem::exists(folder_, error);
}

Result<void> DiskSpool::open() {
  auto room = services_.rooms.find(std::type_index(typeid(store::Inboxes)));
  if (room == services_.rooms.end()) return unavailable("there is no data folder to spool to");
  auto lease = static_cast<store::Inboxes*>(room->second)->lease(folder_, options_);
  if (!lease) return lease.error();
  log_ = std::move(*lease);
  log_->inbox()->watch(sender_);
  show(*log_->inbox(), *spooled_);
  return {};
}

bool DiskSpool::opened() {
  if (log_) return true;
  if (!wanted_ || services_.clock->now() < again_) return false;
  auto done = open();
  if (!done) complain(done.error());
  return done.has_value();
}

void DiskSpool::complain(const Error& error) {
  again_ = services_.clock->now() + retry;
  if (services_.log) services_.log(LogLevel::error, "on_full: spool: " + error.what);
}

bool DiskSpool::put(const Batch& batch) {
  wanted_ = true;
  if (!opened()) return false;
  auto kept = log_->inbox()->append("", link::wire::encode_batch(batch), services_.clock->now());
  show(*log_->inbox(), *spooled_);
  if (kept) return true;
  if (kept.error().kind != ErrorKind::overloaded && services_.clock->now() >= again_) complain(kept.error());
  return false;
}

std::optional<link::Envelope> DiskSpool::take() {
  if (!opened()) return std::nullopt;
  store::Inbox& log = *log_->inbox();
  std::vector<store::Inbox::Message> messages;
  for (;;) {
    if (auto read = log.read(messages, 1); !read) {
      if (services_.clock->now() >= again_) complain(read.error());
      return std::nullopt;
    }
    if (messages.empty()) return std::nullopt;
    std::uint64_t sequence = messages[0].sequence;
    auto batch = link::wire::decode_batch(messages[0].payload);
    if (!batch) {
      complain(batch.error());
      if (options_.on_lost) options_.on_lost(1);
      log.settle(sequence, sequence);
      continue;
    }
    link::Envelope envelope;
    envelope.spooled = true;
    envelope.batch = std::make_shared<Batch>(std::move(*batch));
    envelope.ack = Ack([log = log_->inbox(), spooled = spooled_, sequence](Settlement how) {
      how == Settlement::settled ? log->settle(sequence, sequence) : log->refuse(sequence, sequence);
      show(*log, *spooled);
    });
    return envelope;
  }
}

void DiskSpool::watch(Waker sender) {
  sender_ = std::move(sender);
  if (log_) log_->inbox()->watch(sender_);
}

bool DiskSpool::empty() { return !opened() || log_->inbox()->drained(); }

void DiskSpool::show(const store::Inbox& log, StageFigures::Spooled& spooled) {
  const std::uint64_t batches = log.unsettled();
  spooled.batches.set(batches);
  spooled.bytes.set(batches == 0 ? 0 : log.bytes());
}

}  // namespace millrace::supervise
