#include "plugins/push/push.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "plugins/push/digest.h"
#include "runner/stage/json.h"

namespace millrace::push {
namespace {

constexpr std::size_t most_under_way = 16;
constexpr std::size_t most_waiting = 10'000;

std::string_view text_meta(const Record& record, std::string_view name) {
  const Value* value = record.meta.find(name);
  return value && value->type() == Type::string ? value->as_text() : std::string_view{};
}

/// What a row keeps: which target, without naming it, and the message.
std::string kept_body(const Target& target, const Message& message) { return target.key() + "\n" + message.save(); }

}  // namespace

Push::Push(Config config, Context context)
    : config_(std::move(config)),
      context_(std::move(context)),
      title_(Template::parse(config_.title).value()),  // describe() has checked both, and the targets
      body_(Template::parse(config_.body).value()),
      delivered_(context_.counter("delivered")),
      failed_(context_.counter("failed_attempts")),
      given_up_(context_.counter("given_up")),
      waiting_(context_.gauge("waiting")) {
  for (const std::string& text : config_.to) seats_.push_back({Target::parse(text).value()});
}

Result<void> Push::connect() {
  store_ = context_.service<store::Store>();
  if (!store_) return invalid("there is no history here to keep messages in until they are delivered");
  if (!courier_) {
    if (auto loaded = load_pending(); !loaded) return loaded;
    courier_ = std::make_unique<Courier>(Courier::Options{config_.timeout, [waker = context_.waker()] { waker.wake(); }});
  }
  send_due(context_.now());
  return {};
}

Result<void> Push::load_pending() {
  auto pending = store_->pending_deliveries(context_.pipeline(), context_.stage());
  if (!pending) return pending.error();
  for (const store::Delivery& delivery : *pending) restore(delivery);
  if (!orphans_.empty())
    context_.log(
        LogLevel::warning,
        fmt::format("{} messages wait for targets that the stage no longer names, the first of them {}; they are given "
                    "up {} after they were made",
                    orphans_.size(), orphans_.front().delivery.target, config::show_duration(config_.retry.ttl)));
  return {};
}

void Push::restore(const store::Delivery& delivery) {
  std::string_view body = delivery.body;
  std::size_t line = std::min(body.find('\n'), body.size());
  auto message = Message::load(body.substr(std::min(line + 1, body.size())));
  if (!message) return give_up(delivery.id, {}, delivery.attempts, delivery.target, message.error().what);
  auto seat = std::ranges::find(seats_, body.substr(0, line), [](const Seat& s) { return std::string_view(s.target.key()); });
  if (seat == seats_.end()) {
    orphans_.push_back({delivery, std::move(*message), from_millis(delivery.created_ms) + config_.retry.ttl});
    return;
  }
  Parcel parcel{delivery.id, static_cast<std::size_t>(seat - seats_.begin()), std::move(*message)};
  parcel.created = from_millis(delivery.created_ms);
  parcel.next_try = from_millis(delivery.next_try_ms);
  parcel.attempts = delivery.attempts;
  queue_.add(std::move(parcel));
}

bool Push::addressed_to_us(const Record& record) const {
  std::string_view link = text_meta(record, "link");
  return record.kind != kind::notification || link.empty() || link == context_.stage();
}

void Push::add(const Record& record, store::Commit& commit, std::vector<Parcel>& parcels) const {
  Message message = Message::from(record, title_, body_, context_.stage());
  Time now = context_.now();
  for (std::size_t i = 0; i < seats_.size(); ++i) {
    const Target& target = seats_[i].target;
    store::Delivery row;
    row.id = digest_of({message.notification, context_.pipeline(), context_.stage(), target.key()});
    row.notification_id = message.notification;
    row.target = target.display();
    row.target_index = static_cast<int>(i);
    row.body = kept_body(target, message);
    row.created_ms = row.next_try_ms = to_whole_millis(now);
    parcels.push_back({row.id, i, message, now, now});
    commit.deliveries.push_back(std::move(row));
  }
  if (record.kind == kind::notification) commit.settled_notifications.push_back(message.notification);
}

Result<void> Push::write(const Batch& batch) {
  std::size_t coming = batch.size() * seats_.size();
  if (queue_.size() > 0 && queue_.size() + coming > most_waiting)
    return overloaded(fmt::format("{} messages wait to be delivered", queue_.size()));
  store::Commit rows;
  std::vector<Parcel> parcels;
  for (const Record& record : batch.records)
    if (addressed_to_us(record)) add(record, rows, parcels);
  if (auto committed = commit(std::move(rows)); !committed) return committed;
  for (Parcel& parcel : parcels) queue_.add(std::move(parcel));
  send_due(context_.now());
  return {};
}

/// Waits for the history's word. Once a stop is asked for it waits no more than a moment.
Result<void> Push::commit(store::Commit commit) const {
  if (commit.empty()) return {};
  struct Answer {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::optional<Result<void>> result;
  };
  commit.pipeline = context_.pipeline();
  commit.stage = context_.stage();
  commit.wall_ms = to_whole_millis(context_.now());
  auto answer = std::make_shared<Answer>();
  store_->commit(std::move(commit), [answer](Result<void> result) {
    std::lock_guard lock(answer->mutex);
    answer->result = std::move(result);
    answer->changed.notify_all();
  });
  std::unique_lock lock(answer->mutex);
  auto answered = [&] { return answer->result.has_value(); };
  if (!answer->changed.wait(lock, context_.stop_token(), answered) && !answer->changed.wait_for(lock, 1s, answered))
    return unavailable("stopped before the history had taken the messages");
  return *answer->result;
}

Result<void> Push::tick(Time now) {
  give_up_orphans(now);
  auto recorded = take_replies(now);
  send_due(now);
  return recorded;
}

Result<void> Push::take_replies(Time now) {
  for (const Reply& reply : courier_->take()) settle(reply, now);
  if (updates_.empty()) return {};
  store::Commit rows;
  rows.delivery_updates = updates_;
  auto committed = commit(std::move(rows));
  if (committed) updates_.clear();
  return committed;
}

void Push::settle(const Reply& reply, Time now) {
  Parcel* parcel = queue_.find(reply.id);
  if (!parcel) return;
  --under_way_;
  parcel->under_way = false;
  ++parcel->attempts;
  Seat& seat = seats_[parcel->target];
  Outcome outcome = classify(reply.status);
  if (outcome == Outcome::accepted) {
    const bool was_locked_out = std::exchange(seat.locked_out, false);
    const bool was_failing = std::exchange(seat.failing, false);
    if (was_locked_out || was_failing)
      context_.log(LogLevel::info, seat.target.display() + (was_locked_out ? " lets us in again" : " takes messages again"));
    delivered_.add();
    updates_.push_back({reply.id, parcel->attempts, 0, to_whole_millis(now), "", store::DeliveryStatus::delivered});
    queue_.remove(reply.id);
    return;
  }
  failed_.add();
  std::string_view words = reply.status == 0 ? std::string_view(reply.error) : seat.target.harmless(reply.error);
  std::string error =
      reply.status == 0 ? std::string(words) : fmt::format("answered {}{}{}", reply.status, words.empty() ? "" : ": ", words);
  Time expiry = parcel->created + config_.retry.ttl;
  bool hopeless = outcome == Outcome::target_dead || outcome == Outcome::message_bad;
  if (!hopeless && now >= expiry) error += fmt::format("; given up after {}", config::show_duration(config_.retry.ttl));

  Time next = std::min(expiry, now + pause_before(config_.retry, parcel->id, parcel->attempts));
  if (outcome == Outcome::credentials) {
    next = now + config_.retry.max;
    pause_target(parcel->target, outcome, next);
  }
  if (auto asked = parse_retry_after(reply.retry_after, now); asked && !hopeless) {
    next = now + *asked;
    pause_target(parcel->target, outcome, std::min(next, now + config_.retry.ttl));
    if (next > expiry) error += "; asks to wait for longer than the message is kept";
  }
  if (!hopeless && now < expiry && next <= expiry) {
    if (outcome != Outcome::credentials && !std::exchange(seat.failing, true))
      context_.log(LogLevel::warning, fmt::format("{}: {}; its messages wait in the history and are tried again, each for {}",
                                                  seat.target.display(), error, config::show_duration(config_.retry.ttl)));
    return try_again(*parcel, error, next);
  }
  give_up(parcel->id, parcel->message, parcel->attempts, seat.target.display(), error);
  queue_.remove(reply.id);
}

void Push::pause_target(std::size_t target, Outcome outcome, Time until) {
  queue_.pause(target, until);
  Seat& seat = seats_[target];
  if (outcome != Outcome::credentials || std::exchange(seat.locked_out, true)) return;
  context_.log(LogLevel::error,
               fmt::format("{} refuses our user, password or token; its messages wait. Mend `to`, or its rights there.",
                           seat.target.display()));
}

void Push::try_again(Parcel& parcel, const std::string& error, Time next) {
  parcel.next_try = next;
  updates_.push_back({parcel.id, parcel.attempts, to_whole_millis(next), std::nullopt, error, store::DeliveryStatus::pending});
}

void Push::give_up(std::string_view id, const Message& message, std::size_t attempts, std::string_view target,
                   const std::string& error) {
  given_up_.add();
  updates_.push_back(
      {std::string(id), static_cast<std::uint32_t>(attempts), 0, std::nullopt, error, store::DeliveryStatus::dead});

  Batch batch;
  Arena& arena = batch.arena();
  Record& record = batch.append();
  record.kind = kind::notification;
  record.time = record.arrival = context_.now();
  if (auto payload = JsonDecoder().decode_value(message.payload, arena); payload && payload->type() == Type::object) {
    for (const Field& field : payload->as_object()) {
      if (field.name == "device" && field.value.type() == Type::string) record.device = field.value.as_text();
      if (field.name != "fields" || field.value.type() != Type::object) continue;
      for (const Field& inner : field.value.as_object()) record.fields.push(arena, inner.name, inner.value);
    }
  }
  record.meta.push(arena, "delivery", Value::string(id));
  record.meta.push(arena, "notification", Value::string(message.notification));
  record.meta.push(arena, "target", Value::string(target));
  context_.reject(record, rejected(fmt::format("{}: {}", target, error)));
}

void Push::give_up_orphans(Time now) {
  std::erase_if(orphans_, [&](const Orphan& orphan) {
    if (now < orphan.expiry) return false;
    give_up(orphan.delivery.id, orphan.message, orphan.delivery.attempts, orphan.delivery.target,
            "the stage no longer names this target");
    return true;
  });
}

void Push::send_due(Time now) {
  for (Parcel* parcel : queue_.due(now, most_under_way - under_way_)) {
    parcel->under_way = true;
    ++under_way_;
    courier_->submit(seats_[parcel->target].target.request(parcel->message, parcel->id, now, config_.secret.text));
  }
  waiting_.set(queue_.size() + orphans_.size());
  next_tick_ = under_way_ < most_under_way ? queue_.next_due() : std::nullopt;
  for (const Orphan& orphan : orphans_) next_tick_ = std::min(next_tick_.value_or(orphan.expiry), orphan.expiry);
  if (!updates_.empty()) next_tick_ = now;
}

Result<void> Push::finish(End end) {
  if (!courier_) return {};  // never connected
  // What is not delivered is in the history and goes out at the next start. Where the input is over, each message gets its
  // first attempt now, as there may be no next start; at a shutdown only the answers that are nearly here are waited for.
  auto next = [&] { return queue_.next_due(); };
  while (end == End::input_over && !context_.stop_token().stop_requested()) {
    if (auto ticked = tick(context_.now()); !ticked) return ticked;
    if (under_way_ == 0 && (!next() || *next() > context_.now())) break;
    courier_->wait(1s, context_.stop_token());
  }
  for (int i = 0; i < 10 && under_way_ > 0; ++i) {
    courier_->wait(100ms, {});
    if (auto taken = take_replies(context_.now()); !taken) return taken;
  }
  if (std::size_t waiting = queue_.size() + orphans_.size(); waiting > 0)
    context_.log(LogLevel::info, fmt::format("{} messages wait in the history for the next start", waiting));
  return {};
}

}  // namespace millrace::push
