#include "runner/config/plugin.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "plugins/alert/desk.h"
#include "plugins/alert/explain.h"
#include "plugins/alert/reading.h"
#include "runner/stage/explains.h"
#include "runner/stage/outages.h"
#include "runner/stage/rehearsal.h"
#include "runner/stage/wall_clock.h"

namespace millrace {

namespace {

using namespace alert;

Micros micros(Time time) { return time.time_since_epoch().count(); }
Time time_of(Micros micros) { return Time{Duration{micros}}; }

/// Watches records through the rules and raises alerts. The rules themselves are a Monitor; the Journal brings what it finds to
/// the history before it goes on; this is the stage around the two: it reads records, keeps the clock, holds the inputs' Acks
/// until what they led to is saved.
class AlertStage final : public Transform, public AlertDesk, public SilenceDesk, public Rehearsal, public Explains {
 public:
  using Config = Options;

  AlertStage(Config config, Context context)
      : options_(std::move(config)),
        context_(std::move(context)),
        compiled_(compile(options_)),
        reading_(compiled_.inputs, compiled_.quoted),
        event_time_{options_.time.field, options_.time.unit},
        telling_(compiled_, context_.pipeline(), context_.stage(), options_.key == "device"),
        without_time_(context_.counter("without_time")),
        without_key_(context_.counter("without_key")),
        keys_(context_.gauge("alert_keys")) {}

  Result<void> connect() override {
    if (monitor_) return {};
    auto* store = context_.service<store::Store>();
    if (!store) return invalid("alerts need the history, and there is none here");
    auto snapshots = store->snapshots(context_.pipeline(), context_.stage());
    if (!snapshots) return snapshots.error();
    auto states = store->states(context_.pipeline(), context_.stage());
    if (!states) return states.error();
    auto unsettled = store->unsettled(context_.pipeline(), context_.stage());
    if (!unsettled) return unsettled.error();
    journal_ = std::make_unique<Journal>(context_, telling_);
    monitor_ = std::make_unique<Monitor>(compiled_.plan, *journal_);
    telling_.set_rules(monitor_->plan().rules.data());
    journal_->attach(*monitor_);
    journal_->connect(*store);
    load(*snapshots);
    // A backlog is judged as it would have been live: by the silences that held then.
    auto silences = store->silences({context_.pipeline(), context_.stage(), floor_div(monitor_->now(), 1000)});
    if (!silences) return silences.error();
    desk_.emplace(*monitor_, *journal_, telling_, [this](Time at) { begin(micros(at)); });
    desk_->load(std::move(*silences));
    take_over(*states);
    journal_->repeat(*unsettled);
    wall_clock_ = context_.service<WallClock>();
    started_ = seen_until_ = context_.now();
    next_snapshot_ = started_ + snapshot_every;
    catching_up_ = options_.time.catch_up > Duration::zero() && !options_.time.by_arrival;
    outages_ = catching_up_ ? context_.service<Outages>() : nullptr;
    return {};
  }

  Result<Batch> process(Batch&& batch) override {
    keep_clock();
    heed_outages();
    look_at(batch);
    journal_->hold(context_.take_ack());
    records_ += batch.size();
    bool due = records_ >= snapshot_records || (snapshot_wanted() && context_.now() >= next_snapshot_);
    return hand_over(due);
  }

  bool wants_input() const override { return !journal_ || journal_->backlog() <= largest_backlog; }

  std::optional<Time> next_tick() const override {
    if (!monitor_) return std::nullopt;
    std::optional<Time> next = journal_->retry();
    auto no_later_than = [&](Time time) { next = next ? std::min(*next, time) : time; };
    if (snapshot_wanted()) no_later_than(next_snapshot_);
    if (wall_clock_ && monitor_->keys() > 0) no_later_than(seen_until_ + heartbeat);
    if (monitor_->holding()) no_later_than(heeded_ + attention);
    if (catching_up_ || !begun_) {
      no_later_than(catching_up_ ? started_ + options_.time.catch_up : started_);
      return next;
    }
    if (auto deadline = monitor_->deadline()) no_later_than(time_of(*deadline));
    return next;
  }

  Result<Batch> tick(Time now) override {
    keep_clock();
    heed_outages();
    if (catching_up_ && now >= started_ + options_.time.catch_up) catching_up_ = false;
    if (!catching_up_) {
      begin(micros(now));
      monitor_->tick(micros(now));
    }
    return hand_over(snapshot_wanted() && now >= next_snapshot_);
  }

  Result<Batch> finish(End end) override {
    if (end == End::input_over) {
      begin(micros(context_.now()));
      monitor_->flush();
      monitor_->forget_streams();
    } else if (begun_ && !catching_up_) {
      monitor_->stand_at(micros(context_.now()));
    }
    return hand_over(true);
  }

  bool idle() const override { return !journal_ || journal_->idle(); }

  void acknowledge(const Acknowledgement& ack, Time at, DeskAnswer<std::vector<Acknowledged>> answer) override {
    if (!desk_) return answer(too_early());
    desk_->acknowledge(ack, at, std::move(answer));
  }
  void comment(const millrace::Remark& remark, Time at, DeskAnswer<void> answer) override {
    if (!desk_) return answer(too_early());
    desk_->comment(remark, at, std::move(answer));
  }
  void silence(const millrace::Silence& silence, Time at, DeskAnswer<millrace::Silence> answer) override {
    if (!desk_) return answer(too_early());
    desk_->silence(silence, at, std::move(answer));
  }
  void unsilence(const millrace::Silence& which, Time at, DeskAnswer<std::vector<millrace::Silence>> answer) override {
    if (!desk_) return answer(too_early());
    desk_->unsilence(which, at, std::move(answer));
  }

  void lose_windows() override { windows_lost_ = true; }

  Duration look_back() const override {
    const Micros reach = alert::look_back(compiled_.plan);
    return reach >= for_ever ? Duration::max() : Duration(reach);
  }

  std::vector<std::string> explain() const override { return alert::explain(options_); }

 private:
  static constexpr Duration snapshot_every = 1s;
  static constexpr Duration heartbeat = 30s;   ///< at most, between two looks at the clock
  static constexpr Duration unheard_of = 30s;  ///< as a delay of a tick
  static constexpr Duration attention = 1s;    ///< at most, until it is seen that a source is back
  static constexpr std::size_t snapshot_records = 10'000;
  static constexpr std::size_t largest_backlog = 100'000;

  static Error too_early() { return unavailable("the stage waits for the history yet; try again"); }

  void load(const std::vector<store::Snapshot>& snapshots) {
    std::vector<std::string_view> lost;
    for (const store::Snapshot& s : snapshots) {
      const bool common = s.name == common_snapshot;
      if (!common && !s.name.starts_with(key_snapshot)) continue;
      const std::string_view key = common ? std::string_view() : std::string_view(s.name).substr(key_snapshot.size());
      gap_ahead_ = true;
      if (common ? monitor_->load_common(*s.data) : monitor_->load(key, *s.data)) continue;
      context_.log(LogLevel::warning, fmt::format("what was saved of '{}' cannot be used; it starts anew", s.name));
      if (!common) lost.push_back(key);
    }
    for (std::string_view key : lost) monitor_->lost(key, micros(context_.now()));
  }

  /// Alerts of rules that are gone, or mean something else now, end; the others' counts go on.
  void take_over(const std::vector<store::State>& states) {
    for (const store::State& s : states) {
      const auto& rules = monitor_->plan().rules;
      bool known =
          std::any_of(rules.begin(), rules.end(), [&](const RulePlan& r) { return r.name == s.rule && r.has_condition(); });
      if (known && monitor_->life(s.rule, s.key)) continue;
      bool open = s.state == "FIRING" || s.state == "RECOVERING" || s.state == "LATCHED";
      if (open) journal_->end_lost(s, !known);
      if (known) monitor_->adopt(s.rule, s.key, s.opening, s.events + (open ? 1 : 0));
    }
  }

  /// Where time passes by itself, a call that comes long after it was asked for tells of time in which nobody looked: the
  /// clock was set, or the process stood still.
  void keep_clock() {
    if (!wall_clock_) return;
    const Time now = context_.now();
    if (begun_ && now > seen_until_ + heartbeat + unheard_of) {
      // A machine that slept has lost its connections, which the sources find out later.
      for (const auto& [source, standing] : standings_) {
        monitor_->hold(source, micros(seen_until_));
        if (!standing.away) monitor_->catch_up(source, micros(now + options_.time.catch_up));
      }
      monitor_->jumped((now - seen_until_).count());
    }
    seen_until_ = std::max(seen_until_, now);
    monitor_->doubt(wall_clock_->ahead().count());
  }

  /// Event time stands still for keys whose source is cut off, and goes on with what it brings once it is back.
  void heed_outages() {
    if (!outages_) return;
    heeded_ = context_.now();
    if (outages_->version() == outages_version_) return;
    outages_version_ = outages_->version();
    auto standings = outages_->all();
    for (const auto& [source, standing] : standings) {
      auto before = standings_.find(source);
      if (before != standings_.end() && before->second == standing) continue;
      const Time until = standing.back + options_.time.catch_up;
      if (standing.away || until > heeded_) monitor_->hold(source, micros(standing.since));
      if (!standing.away) monitor_->catch_up(source, micros(until));
    }
    // What was saved may be of a source that there is no longer.
    for (std::uint32_t source : monitor_->held())
      if (!standings.contains(source)) monitor_->catch_up(source, micros(heeded_ + options_.time.catch_up));
    standings_ = std::move(standings);
  }

  /// The first moment on the arrival clock. It is the first record's where a source brings what it had kept, so that the time
  /// away is not taken for silence. Where no source does, it is the start, however much later the stage first runs.
  void begin(Micros now) {
    bridge(now, false);
    if (!std::exchange(begun_, true)) monitor_->start(std::min(now, micros(started_)), compiled_.expected);
  }

  /// The time since what was saved, in which nobody looked, lies before the first record that does not follow on from it: a
  /// source may first offer again what was seen already.
  void bridge(Micros now, bool replayed) {
    if (!gap_ahead_) return;
    if (replayed && !windows_lost_ && now - monitor_->now() <= options_.time.late.count()) return;
    // What a source brings that was cut off before that is older than what was saved.
    if (monitor_->holding()) now = std::max(now, monitor_->now());
    bool backlogs = options_.time.catch_up > Duration::zero();
    monitor_->restarted(0, backlogs || begun_ ? now : std::min(now, micros(started_)), !windows_lost_);
    gap_ahead_ = false;
  }

  void look_at(const Batch& batch) {
    const Time now = context_.now();
    const std::size_t inputs = reading_.inputs();
    const std::size_t quotes = compiled_.quoted.size();
    arrivals_.clear();
    key_texts_.clear();
    inputs_.resize(batch.size() * inputs);
    quotes_.resize(batch.size() * quotes);
    for (const Record& record : batch.records) {
      if (record.kind == kind::alert || record.kind == kind::notification) continue;
      const std::size_t place = arrivals_.size();
      arrivals_.push_back(arrival_of(record, now));
      Arrival& seen = arrivals_.back();
      reading_.read(record, inputs_.data() + place * inputs);
      seen.inputs = std::span(inputs_).subspan(place * inputs, inputs);
      if (quotes == 0) continue;
      seen.quotes = std::span(quotes_).subspan(place * quotes, quotes);
      reading_.quote(record, quotes_.data() + place * quotes);
    }
    if (arrivals_.empty()) return;
    if (!gap_ahead_) {
      begin(arrivals_.front().arrival);
      return monitor_->records(arrivals_);
    }
    monitor_->begin_batch();
    for (const Arrival& arrival : arrivals_) {
      bridge(arrival.arrival, arrival.source != 0);
      if (!std::exchange(begun_, true)) monitor_->start(std::min(arrival.arrival, micros(started_)), compiled_.expected);
      monitor_->record(arrival);
    }
    // The replay has reached the present, and nothing was missing.
    if (!catching_up_) gap_ahead_ = false;
  }

  Arrival arrival_of(const Record& record, Time now) {
    Arrival seen;
    seen.arrival = micros(record.arrival == Time{} ? now : record.arrival);
    seen.time = micros(record.time);
    if (!event_time_.field.empty()) {
      auto said = event_time_.read(record);
      if (!said) without_time_.add();
      seen.time = said ? micros(*said) : seen.arrival;
    }
    seen.fresh = time_of(seen.time) >= now - options_.time.late;
    if (seen.fresh) catching_up_ = false;
    seen.key = key_of(record);
    // Without a number it will not be offered again: QoS 0, or an inbox without room.
    seen.source = record.sequence == 0 ? 0 : record.source;
    seen.sequence = record.sequence;
    return seen;
  }

  std::string_view key_of(const Record& record) {
    if (options_.key == "device") return record.device;
    const Value* value = record.fields.find(options_.key);
    if (value && value->type() == Type::string) return value->as_text();
    if (value && value->type() == Type::integer) return key_texts_.emplace_back(std::to_string(value->as_integer()));
    without_key_.add();
    return {};
  }

  bool snapshot_wanted() const { return journal_->holds() || monitor_->has_changed(); }

  Batch hand_over(bool everything) {
    if (everything) {
      records_ = 0;
      next_snapshot_ = context_.now() + snapshot_every;
    }
    desk_->keep_spent();
    journal_->commit(everything);
    keys_.set(monitor_->keys());
    return journal_->take_ready();
  }

  const Options options_;
  Context context_;
  const Compiled compiled_;
  const Reading reading_;
  const config::EventTime event_time_;
  Telling telling_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Monitor> monitor_;
  std::optional<Desk> desk_;

  Outages* outages_ = nullptr;  ///< null in virtual time, and where nothing is caught up with
  std::uint64_t outages_version_ = 0;
  std::map<std::uint32_t, Outages::Standing> standings_;  ///< as they were heeded
  Time heeded_{};
  WallClock* wall_clock_ = nullptr;  ///< null in virtual time
  Time seen_until_{};
  Time started_{};
  Time next_snapshot_{};
  bool catching_up_ = false;
  bool begun_ = false;
  bool gap_ahead_ = false;  ///< something was restored, and the time since then has not been accounted for
  bool windows_lost_ = false;
  std::size_t records_ = 0;
  // Of the batch in hand.
  std::vector<Arrival> arrivals_;
  std::vector<double> inputs_;
  std::vector<Quote> quotes_;
  std::deque<std::string> key_texts_;

  Counter& without_time_;
  Counter& without_key_;
  Counter& keys_;
};

}  // namespace

Plugin alert_plugin() {
  return config::define_plugin<AlertStage>("alert", "Watches records through rules over time and raises alerts.");
}

}  // namespace millrace
