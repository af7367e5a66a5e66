#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/alert/journal.h"
#include "plugins/alert/silences.h"
#include "runner/stage/alert_desk.h"

namespace millrace::alert {

/// What people do to the alerts of one stage: it finds out which are meant, has the Monitor do it and the Journal keep it, and
/// answers when it is kept. Wrong requests change nothing. On the stage's thread.
class Desk {
 public:
  /// `begin` makes sure that the arrival clock runs, before anything is done at that time. All outlive it.
  Desk(Monitor& monitor, Journal& journal, const Telling& telling, std::function<void(Time)> begin)
      : monitor_(monitor), journal_(journal), telling_(telling), begin_(std::move(begin)) {}

  /// The silences that the history has kept, before anything else.
  void load(std::vector<store::Silence> silences);

  void acknowledge(const Acknowledgement& ack, Time at, DeskAnswer<std::vector<Acknowledged>> answer);
  void comment(const millrace::Remark& remark, Time at, DeskAnswer<void> answer);
  void silence(const millrace::Silence& silence, Time at, DeskAnswer<millrace::Silence> answer);
  void unsilence(const millrace::Silence& which, Time at, DeskAnswer<std::vector<millrace::Silence>> answer);

  /// Brings the ends of silences that ended with their alerts into what is committed next.
  void keep_spent();

 private:
  Result<void> fits_once(const millrace::Silence& silence) const;
  std::vector<std::string> raising() const;
  const RulePlan& rule_named(std::string_view name) const;
  std::uint64_t opening_of(const RulePlan& rule, std::string_view key, std::string_view incident) const;
  Result<Acknowledged> acknowledge_one(const Acknowledgement& ack, const RulePlan& rule, Time at);
  void silences_changed(const std::vector<store::Silence>& silences, std::string_view reason, std::string_view by, Time at);
  void catch_up(Time at);
  template <class T>
  void answer_when_kept(DeskAnswer<T> answer, T with);

  Monitor& monitor_;
  Journal& journal_;
  const Telling& telling_;
  const std::function<void(Time)> begin_;
  Silences silences_;
};

}  // namespace millrace::alert
