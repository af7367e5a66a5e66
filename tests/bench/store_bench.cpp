#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runner/store/history_reader.h"
#include "runner/store/inbox.h"
#include "runner/store/store.h"

// Prints what the store costs: transitions a second, the newest page of a long history, one append to the inbox.
namespace {

using namespace millrace;
using namespace millrace::store;
using SteadyClock = std::chrono::steady_clock;

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

double cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + (static_cast<double>(used.tv_nsec) * 1e-9);
}

// The n-th transition of a site with 10,000 keys: every second one opens an incident.
Commit transition(std::uint64_t n, bool told) {
  Commit commit;
  commit.pipeline = "site";
  commit.stage = "climate";
  const std::string key = fmt::format("AZ3166-{}", (n / 2) % 10'000);
  const std::uint64_t opening = 1 + (n / 20'000);
  const bool opens = n % 2 == 0;
  Event event;
  event.incident_id = incident_id(dedup_key("site", "climate", "humidity-jump", key), opening);
  event.ordinal = (opening * 2) - (opens ? 1 : 0);
  event.rule = "humidity-jump";
  event.key = key;
  event.from_state = opens ? "OK" : "FIRING";
  event.to_state = opens ? "FIRING" : "OK";
  event.level_to = "warning";
  event.reason = opens ? "condition" : "resolved";
  event.opens = opens;
  event.event_ms = event.wall_ms = 1'700'000'000'000 + static_cast<std::int64_t>(n);
  event.value = 12.5;
  event.threshold = 10;
  event.message = key + ": humidity up 12.5 points in 30 s";
  State state;
  state.rule = event.rule;
  state.key = key;
  state.state = event.to_state;
  state.incident_id = opens ? event.incident_id : "";
  state.opening = opening;
  state.events = event.ordinal;
  state.last_eval_ms = event.event_ms;
  if (told) {
    Notification notification;
    notification.id = fmt::format("{}/{}/phone", event.incident_id, event.reason);
    notification.link = "phone";
    notification.incident_id = event.incident_id;
    notification.event_ordinal = event.ordinal;
    notification.rule = event.rule;
    notification.key = key;
    notification.type = opens ? "firing" : "resolved";
    notification.body = R"({"message":"humidity up 12.5 points in 30 s"})";
    commit.notifications.push_back(std::move(notification));
  }
  commit.events.push_back(std::move(event));
  commit.states.push_back(std::move(state));
  return commit;
}

void measure_history(const std::filesystem::path& folder, std::uint64_t transitions, bool told) {
  auto store = Store::open(folder).value();
  const double cpu = cpu_seconds();
  const auto start = SteadyClock::now();
  for (std::uint64_t n = 0; n < transitions; ++n) {
    store->commit(transition(n, told), {});
    if (n % 16'384 == 16'383) store->flush(std::chrono::minutes(1));
  }
  store->flush(std::chrono::minutes(1));
  const double wall = seconds_since(start);
  fmt::print("{{\"figure\":\"transitions{}\",\"per_second\":{:.0f},\"cpu_us_each\":{:.2f},\"transactions\":{}}}\n",
             told ? "_with_notification" : "", static_cast<double>(transitions) / wall,
             (cpu_seconds() - cpu) / static_cast<double>(transitions) * 1e6, store->figures().transactions.value());

  std::vector<double> lone;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const auto begin = SteadyClock::now();
    store->commit(transition(transitions + n, told), {});
    store->flush();
    lone.push_back(seconds_since(begin) * 1e6);
  }
  std::sort(lone.begin(), lone.end());
  fmt::print("{{\"figure\":\"lone_commit\",\"median_us\":{:.0f},\"p99_us\":{:.0f}}}\n", lone[100], lone[198]);

  auto reader = HistoryReader::open(folder).value();
  for (const char* by : {"", "key", "open"}) {
    IncidentFilter filter;
    if (std::string_view(by) == "key") filter.key = "AZ3166-77";
    if (std::string_view(by) == "open") filter.state = "open";
    const auto begin = SteadyClock::now();
    const auto page = reader->incidents(filter).value();
    fmt::print("{{\"figure\":\"newest_page\",\"filter\":\"{}\",\"events\":{},\"rows\":{},\"ms\":{:.2f}}}\n", by, transitions,
               page.size(), seconds_since(begin) * 1e3);
  }
}

void measure_inbox(const std::filesystem::path& folder, std::uint64_t messages) {
  auto inbox = Inbox::open(folder).value();
  const std::string payload(116, 'x');
  std::vector<Inbox::Message> read;
  double append_cpu = 0;
  double read_cpu = 0;
  for (std::uint64_t done = 0; done < messages;) {
    const double start = cpu_seconds();
    for (int i = 0; i < 1000; ++i) inbox->append("devices/AZ3166-1/messages/events/", payload, Time{}).value();
    const double appended = cpu_seconds();
    inbox->read(read, 1000).value();
    inbox->settle(read.front().sequence, read.back().sequence);
    read_cpu += cpu_seconds() - appended;
    append_cpu += appended - start;
    done += read.size();
  }
  fmt::print("{{\"figure\":\"inbox\",\"append_us\":{:.3f},\"read_and_settle_us\":{:.3f}}}\n",
             append_cpu / static_cast<double>(messages) * 1e6, read_cpu / static_cast<double>(messages) * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures the history and the inbox"};
  std::uint64_t transitions = 200'000;
  std::uint64_t messages = 1'000'000;
  std::filesystem::path folder = std::filesystem::temp_directory_path() / fmt::format("store-bench-{}", ::getpid());
  app.add_option("--transitions", transitions);
  app.add_option("--messages", messages);
  app.add_option("--folder", folder);
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(folder / "plain");
  std::filesystem::create_directories(folder / "told");
  measure_history(folder / "plain", transitions, false);
  measure_history(folder / "told", transitions / 4, true);
  measure_inbox(folder / "inbox", messages);
  std::filesystem::remove_all(folder);
}
