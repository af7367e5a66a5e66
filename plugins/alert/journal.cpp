#include "plugins/alert/journal.h"

#include <fmt/format.h>

#include "runner/stage/json.h"

namespace millrace::alert {

namespace {

constexpr auto patience = 50ms;
// How much a commit saves of all keys' state: a millisecond's work, so that no transition waits long for it.
constexpr std::size_t share_bytes = 64U << 10U;
constexpr std::size_t share_keys = 64;

std::int64_t whole_millis(Micros micros) { return floor_div(micros, 1000); }

}  // namespace

/// What one commit carries, until it is answered.
struct Journal::Flight {
  store::Commit commit;
  Batch out;
  std::vector<std::string> told;
  WhenCommitted answers;
  Ack ack;
};

/// Where the store's thread leaves its answer.
class Journal::Answers {
 public:
  void put(Result<void> answer) {
    std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  std::optional<Result<void>> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(answer_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::optional<Result<void>> answer_;
};

Journal::Journal(Context context, const Telling& telling)
    : context_(std::move(context)),
      telling_(telling),
      answers_(std::make_shared<Answers>()),
      late_(context_.dropped("late")),
      early_(context_.dropped("early")),
      out_of_order_(context_.dropped("out_of_order")),
      too_many_keys_(context_.dropped("too_many_keys")),
      waiting_room_full_(context_.dropped("reorder_buffer_full")),
      script_errors_(context_.counter("script_errors")) {
  if (auto* trace = context_.service<Trace>()) trace_ = std::make_unique<TraceRows>(*trace, telling_);
}

Journal::~Journal() {
  if (in_flight_) std::move(in_flight_->answers.begin(), in_flight_->answers.end(), std::back_inserter(answers_due_));
  for (const auto& answer : answers_due_)
    answer(unavailable("the stage ended before the history had taken it; it may be done all the same"));
}

void Journal::connect(store::Store& store) { store_ = &store; }

Batch Journal::take_ready() {
  Batch batch = std::exchange(ready_, Batch{});
  if (ready_told_.empty()) return batch;
  // Whoever tells people settles the row in the transaction that takes it over; this is for those who do not.
  auto settle = [store = store_, pipeline = telling_.pipeline(), stage = telling_.stage(), ids = std::exchange(ready_told_, {}),
                 now = to_whole_millis(context_.now())](Settlement settlement) {
    if (settlement == Settlement::refused) return;
    store::Commit commit;
    commit.pipeline = pipeline;
    commit.stage = stage;
    commit.settled_notifications = ids;
    commit.wall_ms = now;
    store->commit(std::move(commit), [](const Result<void>&) {});
  };
  batch.ack = Ack(std::move(settle));
  return batch;
}

void Journal::commit(bool everything) {
  everything_ = everything_ || everything;
  collect();
  while (!in_flight_ && waiting() && !retry_) {
    submit();
    collect();
  }
}

void Journal::submit() {
  const bool begins = everything_ && saving_.empty();
  if (begins) begin_saving();
  bool needs_commit = begins || !saving_.empty() || !saving_ack_.empty() || !gathering_.empty() || !concerned_.empty();
  auto flight = std::make_unique<Flight>();
  flight->out = std::exchange(out_, Batch{});
  flight->told = std::exchange(told_, {});
  flight->answers = std::exchange(answers_due_, {});
  if (!needs_commit) {
    ready_.splice(std::move(flight->out));
    for (const auto& answer : flight->answers) answer({});
    return;
  }
  flight->commit = std::exchange(gathering_, {});
  fill_states(flight->commit);
  if (saving_.empty()) flight->ack = std::exchange(saving_ack_, Ack{});
  in_flight_ = std::move(flight);
  auto answer = [answers = answers_, waker = context_.waker()](Result<void> result) {
    answers->put(std::move(result));
    waker.wake();
  };
  store_->commit(in_flight_->commit, answer);
}

/// What changes from here on is for the next round, even where a key of this one is saved only later.
void Journal::begin_saving() {
  everything_ = false;
  saving_ack_ = std::exchange(held_, Ack{});
  saving_ = monitor_->take_changed();
}

void Journal::fill_states(store::Commit& commit) {
  commit.pipeline = telling_.pipeline();
  commit.stage = telling_.stage();
  commit.wall_ms = to_whole_millis(context_.now());
  // With one time line for all, what is saved must be of one moment.
  bool whole = monitor_->plan().time.scope == Scope::source;
  std::set<std::string> keys;
  for (const auto& [rule, key] : std::exchange(concerned_, {})) {
    commit.states.push_back(state_row(telling_, *monitor_, *rule, key));
    keys.insert(key);
  }
  if (whole)
    for (std::string& key : monitor_->take_changed()) keys.insert(std::move(key));
  if (whole) {
    for (std::string& key : saving_) keys.insert(std::move(key));
    saving_.clear();
  }
  std::size_t bytes = 0;
  auto save = [&](const std::string& key) {
    std::string saved = monitor_->save(key);
    bytes += saved.size();
    if (!saved.empty()) commit.snapshots.push_back({std::string(key_snapshot) + key, std::move(saved)});
  };
  for (const std::string& key : keys) save(key);
  for (std::size_t left = share_keys; !saving_.empty() && left > 0 && bytes < share_bytes; --left) {
    if (!keys.contains(saving_.back())) save(saving_.back());
    saving_.pop_back();
  }
  commit.snapshots.push_back({std::string(common_snapshot), monitor_->save_common()});
}

void Journal::collect() {
  if (!in_flight_) return;
  if (retry_ && context_.now() >= *retry_) {
    retry_.reset();
    auto answer = [answers = answers_, waker = context_.waker()](Result<void> result) {
      answers->put(std::move(result));
      waker.wake();
    };
    store_->commit(in_flight_->commit, answer);
  }
  auto answer = answers_->take();
  if (!answer) return;
  if (*answer) {
    ready_.splice(std::move(in_flight_->out));
    ready_told_.insert(ready_told_.end(), in_flight_->told.begin(), in_flight_->told.end());
    in_flight_->ack.settle();
    refused_ = false;
    const WhenCommitted due = std::move(in_flight_->answers);
    in_flight_.reset();
    for (const auto& tell : due) tell({});
    return;
  }
  if (answer->error().kind != ErrorKind::overloaded && !std::exchange(refused_, true))
    context_.log(LogLevel::error, answer->error().what + "; it is offered again until it is taken");
  retry_ = context_.now() + patience;
}

void Journal::end_lost(const store::State& state, bool removed) {
  // What is kept of the state is the condition's level, and it may no longer hold.
  std::string level = monitor_->lost_level(state.rule, state.key);
  EndedAlert ended = ended_alert(state, level.empty() ? state.level : std::move(level), removed, context_.now());
  append_ended(out_, ended.event, context_.now());
  gathering_.events.push_back(std::move(ended.event));
  gathering_.states.push_back(std::move(ended.state));
}

void Journal::repeat(const std::vector<store::Notification>& unsettled) {
  JsonDecoder decoder;
  for (const store::Notification& n : unsettled) {
    Batch decoded;
    if (auto count = decoder.decode(n.body, decoded); !count || *count != 1) {
      context_.log(LogLevel::error, fmt::format("notification {} cannot be read and is not sent again", n.id));
      continue;
    }
    Record& record = decoded.records.front();
    Arena& arena = decoded.arena();
    record.kind = kind::notification;
    record.time = from_millis(n.created_ms);
    if (const Value* time = record.fields.find("time"))
      if (auto millis = time->number()) record.time = Time{Duration{static_cast<std::int64_t>(*millis * 1000)}};
    record.arrival = context_.now();
    record.device = arena.copy(n.key);
    record.meta.push(arena, "link", Value::string(arena.copy(n.link)));
    ready_.splice(std::move(decoded));
    ready_told_.push_back(n.id);
  }
}

void Journal::record(std::string_view key, Micros time, Micros arrival, const Admission& admission) {
  trace_->record(key, time, arrival, admission);
}

void Journal::derived(const RulePlan& rule, std::string_view key, Micros time, double value) {
  trace_->derived(rule, key, time, value);
}

void Journal::dropped(Why why) { (why == Why::late ? late_ : why == Why::early ? early_ : out_of_order_).add(); }

void Journal::refused(std::string_view key, Refusal refusal) {
  (refusal == Refusal::too_many_keys ? too_many_keys_ : waiting_room_full_).add();
  if (std::exchange(warned_, true)) return;
  if (refusal == Refusal::too_many_keys)
    context_.log(LogLevel::warning,
                 fmt::format("'{}' and further keys are refused: max_keys is {}", key, monitor_->plan().max_keys));
  else
    context_.log(LogLevel::warning,
                 fmt::format("'{}' has more than max_samples records that wait to be put in order; they are dropped", key));
}

void Journal::failed(const RulePlan& rule, std::string_view key, const Error& error) {
  script_errors_.add();
  // The same message again and again would bury the log.
  if (std::exchange(last_failure_, error.what) != error.what)
    context_.log(LogLevel::error, fmt::format("rule '{}', key '{}': {}", rule.name, key, error.what));
}

void Journal::forgotten(std::string_view key) {
  gathering_.snapshots.push_back({std::string(key_snapshot) + std::string(key), std::nullopt});
}

void Journal::window(const RulePlan& rule, std::string_view key, const WindowRow& row) {
  if (trace_) trace_->window(rule, key, row);
  if (!rule.has_condition()) telling_.append_window(out_, rule, key, row);
}

void Journal::change(const RulePlan& rule, std::string_view key, const Change& change, const Cause& cause, Micros now) {
  if (trace_) trace_->change(rule, key, change, cause, now);
  bool before_opening = (change.to == State::pending || change.from == State::pending) && !change.opens;
  if (before_opening && change.reason != Reason::ack_ignored) return;
  Telling::Happening happening{rule, key, change, cause, now};
  store::Event event = telling_.event(happening);
  if (change.opening == 0) event.incident_id = telling_.incident(rule, key, monitor_->life(rule.name, key)->openings() + 1);
  event.suppressed_by = monitor_->muted_by(rule, key);
  if (change.reason == Reason::ack || change.reason == Reason::ack_ignored) event.comment = comment_;
  gathering_.events.push_back(std::move(event));
  concerned_.emplace(&rule, std::string(key));
  if (change.reason != Reason::ack_ignored) telling_.append_alert(out_, happening);
}

void Journal::remark(const Remark& remark) {
  gathering_.events.push_back(remark_row(telling_, *monitor_, remark));
  gathering_.events.back().ordinal = monitor_->next_event(remark.rule.name, remark.key);
  concerned_.emplace(&remark.rule, std::string(remark.key));
}

void Journal::notice(const RulePlan& rule, std::string_view key, const Notice& notice, const Change& last, const Cause& cause,
                     Micros now) {
  if (trace_) trace_->notice(rule, key, notice, last, cause, now);
  concerned_.emplace(&rule, std::string(key));
  Change about = last;
  about.level = notice.level;
  Telling::Notification n;
  n.incident = telling_.incident(rule, key, notice.opening);
  n.id = fmt::format("{}/{}", n.incident, notice.number);
  n.rule = rule.name;
  n.key = key;
  n.level = telling_.level_name(rule, notice.level);
  n.type = name_of(notice.type);
  n.message = telling_.message({rule, key, about, cause, now});
  n.from = last.from;
  n.to = last.to;
  n.value = cause.value;
  n.quiet = notice.quiet;
  n.time = last.at;
  n.now = now;
  n.labels = telling_.labels(rule, key, cause.quotes);
  address(n, notice.event);
}

void Journal::notice(const RulePlan& rule, const GroupNotice& notice, Micros now) {
  if (trace_) trace_->notice(rule, notice, now);
  Telling::Notification n;
  n.incident = telling_.incident(rule, notice.group, notice.number);
  n.id = n.incident;
  n.rule = rule.name;
  n.type = name_of(notice.type);
  n.firing = notice.firing;
  n.resolved = notice.resolved;
  n.to = notice.firing.empty() ? State::ok : State::firing;
  n.from = notice.firing.empty() ? State::firing : State::ok;
  n.message = fmt::format("{}{}: {} firing, {} resolved", rule.name, notice.group.empty() ? "" : " (" + notice.group + ")",
                          notice.firing.size(), notice.resolved.size());
  n.time = n.now = now;
  n.labels = telling_.labels(rule, notice);
  address(n, 0);
}

void Journal::address(const Telling::Notification& notification, std::uint64_t event) {
  for (const std::string& link : context_.notified()) {
    Telling::Notification n = notification;
    n.id += "@" + link;
    std::size_t place = out_.size();
    telling_.append_notification(out_, n, link);
    store::Notification row;
    row.id = n.id;
    row.link = link;
    row.incident_id = n.incident;
    row.event_ordinal = event;
    row.rule = n.rule;
    row.key = n.key;
    row.level = n.level;
    row.type = n.type;
    row.quiet = n.quiet;
    row.created_ms = whole_millis(n.now);
    append_json(row.body, out_.records[place].fields.view());
    gathering_.notifications.push_back(std::move(row));
    told_.push_back(n.id);
  }
}

}  // namespace millrace::alert
