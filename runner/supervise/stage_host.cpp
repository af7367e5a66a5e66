#include "runner/supervise/stage_host.h"

#include <fmt/format.h>

#include <utility>

#include "runner/stage/json.h"

namespace millrace::supervise {
namespace {

constexpr Duration repeat_pause = 10s;

}  // namespace

Counter& StageFigures::named(Named& counters, std::string_view name) {
  std::lock_guard lock(mutex_);
  auto found = counters.find(name);
  return found != counters.end() ? found->second : counters.try_emplace(std::string(name)).first->second;
}

std::vector<std::pair<std::string, std::uint64_t>> StageFigures::values(const Named& counters) const {
  std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, std::uint64_t>> all;
  for (const auto& [name, counter] : counters) all.emplace_back(name, counter.value());
  return all;
}

std::vector<std::pair<std::string, std::uint64_t>> StageFigures::gauges() const {
  auto all = values(gauges_);
  std::lock_guard lock(mutex_);
  if (spooled_.empty()) return all;
  std::uint64_t batches = 0, bytes = 0;
  for (const auto& [sender, spooled] : spooled_) {
    batches += spooled.batches.value();
    bytes += spooled.bytes.value();
  }
  all.emplace_back("spooled_batches", batches);
  all.emplace_back("spooled_bytes", bytes);
  return all;
}

StageFigures::Spooled& StageFigures::spooled(const std::string& sender) {
  std::lock_guard lock(mutex_);
  return spooled_[sender];
}

std::uint64_t StageFigures::dropped_for(std::string_view reason) const {
  std::lock_guard lock(mutex_);
  auto found = dropped_.find(reason);
  return found == dropped_.end() ? 0 : found->second.value();
}

void StageWakes::wake() noexcept {
  if (wanted_.exchange(true)) return;
  std::lock_guard lock(mutex_);
  if (poller_) poller_->wake();
}

void StageWakes::move_to(std::shared_ptr<link::Poller> poller) {
  std::lock_guard lock(mutex_);
  poller_ = std::move(poller);
}

StageHost::StageHost(std::string pipeline, std::string stage, std::vector<std::string> notified,
                     std::shared_ptr<Services> services, std::shared_ptr<StageFigures> figures)
    : pipeline_(std::move(pipeline)),
      stage_(std::move(stage)),
      notified_(std::move(notified)),
      services_(std::move(services)),
      figures_(std::move(figures)) {}

void StageHost::request_stop() {
  std::lock_guard lock(stop_mutex_);
  ends_ = true;
  stop_.request_stop();
}

void StageHost::interrupt() {
  std::lock_guard lock(stop_mutex_);
  stop_.request_stop();
}

void StageHost::go_on() {
  std::lock_guard lock(stop_mutex_);
  if (!ends_ && stop_.stop_requested()) stop_ = std::stop_source();
}

std::stop_token StageHost::stop_token() const {
  std::lock_guard lock(stop_mutex_);
  return stop_.get_token();
}

void StageHost::log(LogLevel level, std::string_view text) {
  if (!services_->log) return;
  std::string times;
  if (level >= LogLevel::warning) {
    std::lock_guard lock(log_mutex_);
    Time now = clock().now();
    if (text == last_trouble_ && now - said_ < repeat_pause) {
      ++again_;
      return;
    }
    if (text == last_trouble_ && again_ > 0) times = fmt::format(" ({} times more since)", again_);
    last_trouble_ = text;
    said_ = now;
    again_ = 0;
  }
  services_->log(level, fmt::format("{}/{}: {}{}", pipeline_, stage_, text, times));
}

void StageHost::reject(const Record& record, const Error& error) {
  Time now = clock().now();
  if (now < quiet_until_) {
    ++letters_left_out_;
  } else {
    tell_left_out();
    log(LogLevel::warning, fmt::format("rejected a record of '{}': {}", record.device, error.what));
    quiet_until_ = now + 1s;
  }
  store::DeadLetter letter;
  letter.pipeline = pipeline_;
  letter.stage = stage_;
  letter.wall_ms = to_whole_millis(now);
  letter.device = record.device;
  append_json_record(letter.record_json, record, true);
  letter.error = error.what;
  letters_.push_back(std::move(letter));
}

Ack StageHost::unawaited(std::uint64_t records) const {
  return Ack([figures = figures_, records](Settlement how) {
    if (how == Settlement::refused) figures->dropped(unfinished_work).add(records);
  });
}

void StageHost::forget_dead_letters() {
  letters_.clear();
  letters_left_out_ = 0;
}

void StageHost::tell_left_out() {
  if (left_out_ == 0) return;
  log(LogLevel::warning, fmt::format("rejected {} more, which the dead letters have", std::exchange(left_out_, 0)));
}

void StageHost::write_dead_letters(const Ack& ack) {
  left_out_ += std::exchange(letters_left_out_, 0);
  if (left_out_ > 0 && clock().now() >= quiet_until_) tell_left_out();
  if (letters_.empty()) return;
  figures_->rejected.add(letters_.size());
  for (store::DeadLetter& letter : letters_) {
    if (services_->store) services_->store->dead_letter(std::move(letter), ack);
  }
  letters_.clear();
}

void* StageHost::service(std::type_index type) {
  auto found = services_->rooms.find(type);
  return found == services_->rooms.end() ? nullptr : found->second;
}

}  // namespace millrace::supervise
