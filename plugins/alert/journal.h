#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "plugins/alert/monitor.h"
#include "plugins/alert/rows.h"
#include "plugins/alert/telling.h"
#include "plugins/alert/trace_rows.h"
#include "runner/stage/context.h"
#include "runner/store/store.h"

namespace millrace::alert {

/// Brings what a Monitor finds out to the history first, and only then hands it on.
///
/// One commit is on its way at a time; what happens meanwhile gathers for the next. A commit carries the events and
/// notifications, and for each key that they concern the alert's state and everything that the Monitor keeps of it, as they
/// stand when the commit is handed over. So what is on disk is, for each key, one moment between two records: after a crash a
/// key goes on from there, its source's records up to that moment are passed over, and an event that was committed is never
/// found a second time. Inputs are settled once all keys that changed by them are saved: over several commits, so that no
/// transition waits behind a large one.
class Journal final : public Output {
 public:
  Journal(Context context, const Telling& telling);
  ~Journal() override;

  void attach(Monitor& monitor) { monitor_ = &monitor; }
  void connect(store::Store& store);

  /// What may be emitted now: committed, or needing no commit.
  Batch take_ready();

  /// Calls `answer` once everything that has gathered so far is committed, or with an error if that never happens.
  void when_committed(std::function<void(Result<void>)> answer) { answers_due_.push_back(std::move(answer)); }

  /// What somebody says when they acknowledge, for the acknowledgements that follow.
  void set_comment(std::string_view comment) { comment_ = comment; }

  /// Notes what somebody has done about an incident.
  void remark(const Remark& remark);

  /// Keeps the silence, with the next commit.
  void keep(store::Silence silence) { gathering_.silences.push_back(std::move(silence)); }

  /// Keeps the Ack until a snapshot with everything that came before it is committed.
  void hold(Ack ack) { held_.join(std::move(ack)); }

  /// Works off answers of the store and hands over what has gathered. With `everything`, all keys that changed go along.
  void commit(bool everything);

  /// Whether the store has answered all, and everything was handed over.
  bool idle() const { return !in_flight_ && !waiting() && ready_.empty(); }
  bool holds() const { return !held_.empty(); }

  /// Events and notifications that no commit has taken yet.
  std::size_t backlog() const { return gathering_.events.size() + gathering_.notifications.size(); }

  /// When a commit that the store refused is to be offered again.
  std::optional<Time> retry() const { return retry_; }

  /// An alert whose rule is gone or means something else now ends, without a word to people.
  void end_lost(const store::State& state, bool removed);

  /// Notifications that were committed but not settled before this start: they are emitted again.
  void repeat(const std::vector<store::Notification>& unsettled);

  bool traces() const override { return trace_ != nullptr; }
  void record(std::string_view key, Micros time, Micros arrival, const Admission& admission) override;
  void derived(const RulePlan& rule, std::string_view key, Micros time, double value) override;
  void dropped(Why why) override;
  void refused(std::string_view key, Refusal refusal) override;
  void failed(const RulePlan& rule, std::string_view key, const Error& error) override;
  void forgotten(std::string_view key) override;
  void window(const RulePlan& rule, std::string_view key, const WindowRow& row) override;
  void change(const RulePlan& rule, std::string_view key, const Change& change, const Cause& cause, Micros now) override;
  void notice(const RulePlan& rule, std::string_view key, const Notice& notice, const Change& last, const Cause& cause,
              Micros now) override;
  void notice(const RulePlan& rule, const GroupNotice& notice, Micros now) override;

 private:
  using WhenCommitted = std::vector<std::function<void(Result<void>)>>;
  struct Flight;
  class Answers;

  bool waiting() const {
    return !gathering_.empty() || !concerned_.empty() || !out_.empty() || everything_ || !saving_.empty();
  }
  void submit();
  void begin_saving();
  void collect();
  void fill_states(store::Commit& commit);
  void address(const Telling::Notification& notification, std::uint64_t event);

  Context context_;
  const Telling& telling_;
  Monitor* monitor_ = nullptr;
  store::Store* store_ = nullptr;
  std::shared_ptr<Answers> answers_;
  std::unique_ptr<TraceRows> trace_;  ///< null unless somebody looks on

  store::Commit gathering_;
  Batch out_;                      ///< to be emitted once `gathering_` is committed
  std::vector<std::string> told_;  ///< notifications in out_
  std::set<std::pair<const RulePlan*, std::string>> concerned_;
  WhenCommitted answers_due_;
  std::string comment_;
  bool everything_ = false;
  Ack held_;
  std::vector<std::string> saving_;  ///< keys still to be saved before ...
  Ack saving_ack_;                   ///< ... these inputs are settled

  std::unique_ptr<Flight> in_flight_;
  std::optional<Time> retry_;
  bool refused_ = false;  ///< the last answer was no, and that was said
  Batch ready_;
  std::vector<std::string> ready_told_;

  Counter& late_;
  Counter& early_;
  Counter& out_of_order_;
  Counter& too_many_keys_;
  Counter& waiting_room_full_;
  Counter& script_errors_;
  bool warned_ = false;
  std::string last_failure_;
};

/// Names of a key's snapshot, and of what belongs to no key.
inline constexpr std::string_view key_snapshot = "key/";
inline constexpr std::string_view common_snapshot = "common";

}  // namespace millrace::alert
