#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runner/link/link.h"
#include "runner/store/inbox_lease.h"
#include "runner/supervise/stage_host.h"

namespace millrace::supervise {

/// The reading stage's counter of batches that a damaged disk has taken.
inline constexpr std::string_view spool_lost = "spooled_batches_lost";

/// The disk part of one link with `on_full: spool`: a log of the inbox's format (runner/store/segment.h), one message a batch,
/// in the words of links between processes. A batch that is in it counts as settled for whoever sent it; its own settlement
/// frees the room. What a former start left is given first. Opened when it is first needed, or at once if there is a folder. On
/// the sender's thread; the Acks that it hands out may outlive it.
class DiskSpool final : public link::Spool {
 public:
  /// `services` outlive it. `figures` are the reading stage's, `sender` is the other's id.
  DiskSpool(std::filesystem::path folder, store::Inbox::Options options, Services& services,
            std::shared_ptr<StageFigures> figures, const std::string& sender);

  bool put(const Batch& batch) override;
  std::optional<link::Envelope> take() override;
  bool empty() override;
  void watch(Waker sender) override;

 private:
  Result<void> open();
  bool opened();
  void complain(const Error& error);
  static void show(const store::Inbox& log, StageFigures::Spooled& spooled);

  std::filesystem::path folder_;
  store::Inbox::Options options_;
  Services& services_;
  Waker sender_;
  std::shared_ptr<StageFigures::Spooled> spooled_;  ///< shares the figures
  std::optional<store::InboxLease> log_;
  bool wanted_;   ///< there is, or is to be, something in it
  Time again_{};  ///< after a failure: not before
};

}  // namespace millrace::supervise
