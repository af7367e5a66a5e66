#pragma once

#include <filesystem>
#include <memory>

#include "runner/store/inbox.h"

namespace millrace::store {

/// One stage's right to append to an inbox and to read it. When it goes, a successor may have the right; the log stays open as
/// long as somebody holds inbox(), as the Acks do that are out.
class InboxLease {
 public:
  InboxLease(InboxLease&&) = default;
  InboxLease& operator=(InboxLease&&) = default;
  ~InboxLease() = default;

  const std::shared_ptr<Inbox>& inbox() const { return inbox_; }

 private:
  friend class Inboxes;
  InboxLease(std::shared_ptr<Inbox> inbox, std::shared_ptr<void> right) : inbox_(std::move(inbox)), right_(std::move(right)) {}

  std::shared_ptr<Inbox> inbox_;
  std::shared_ptr<void> right_;
};

/// The inboxes that are open in this process, by folder. A stage that a reload puts in another's place gets the same open log,
/// in which what its predecessor has handed out and nobody has settled yet is still known: it is neither offered a second time
/// nor in the successor's way. Stages get it by Context::service<store::Inboxes>(). Any thread; Inboxes may go before its
/// leases.
class Inboxes {
 public:
  Inboxes();

  /// Opens the log in `folder`, or takes over the one that is open, which then goes by `options`. ErrorKind::unavailable if
  /// another stage, or another process, has it.
  Result<InboxLease> lease(const std::filesystem::path& folder, Inbox::Options options);

  /// Whether a stage has the log in `folder`, or Acks of it are still out.
  bool is_open(const std::filesystem::path& folder) const;

 private:
  struct Open;
  std::shared_ptr<Open> open_;
};

}  // namespace millrace::store
