#include <fmt/core.h>
#include <sqlite3.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "runner/store/history_reader.h"
#include "runner/store/inbox.h"
#include "runner/store/store.h"

// Prints what the store costs: transitions a second, also into a long history, its newest page, one append to the inbox.
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

std::uint64_t bytes_written() {
  std::ifstream io("/proc/self/io");
  std::string name;
  for (std::uint64_t bytes = 0; io >> name >> bytes;)
    if (name == "write_bytes:") return bytes;
  return 0;
}

// Throughput from the `first`th transition on, and what a commit takes that comes alone.
void measure_commits(const std::filesystem::path& folder, std::string_view name, std::uint64_t first, std::uint64_t transitions,
                     bool told) {
  auto store = Store::open(folder).value();
  const double cpu = cpu_seconds();
  const std::uint64_t bytes = bytes_written();
  const auto start = SteadyClock::now();
  for (std::uint64_t n = 0; n < transitions; ++n) {
    store->commit(transition(first + n, told), {});
    if (n % 16'384 == 16'383) store->flush(std::chrono::minutes(1));
  }
  store->flush(std::chrono::minutes(1));
  const double wall = seconds_since(start);
  fmt::print(
      "{{\"figure\":\"{}\",\"per_second\":{:.0f},\"cpu_us_each\":{:.2f},\"disk_bytes_each\":{:.0f},\"transactions\":{}}}\n",
      name, static_cast<double>(transitions) / wall, (cpu_seconds() - cpu) / static_cast<double>(transitions) * 1e6,
      static_cast<double>(bytes_written() - bytes) / static_cast<double>(transitions), store->figures().transactions.value());

  std::vector<double> lone;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const auto begin = SteadyClock::now();
    store->commit(transition(first + transitions + n, told), {});
    store->flush();
    lone.push_back(seconds_since(begin) * 1e6);
  }
  std::sort(lone.begin(), lone.end());
  fmt::print("{{\"figure\":\"lone_commit\",\"after\":\"{}\",\"median_us\":{:.0f},\"p99_us\":{:.0f}}}\n", name, lone[100],
             lone[198]);
}

void execute(sqlite3* database, const std::string& sql) {
  char* error = nullptr;
  if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error) == SQLITE_OK) return;
  fmt::print(stderr, "store_bench: {}\n", error);
  std::exit(1);
}

// The first `events` of those transitions, all at once: a year of a busy site. The indices are made last, which takes a tenth
// of the time.
void make_long_history(const std::filesystem::path& folder, std::uint64_t events) {
  Store::open(folder).value();
  sqlite3* database = nullptr;
  sqlite3_open((folder / "history.db").c_str(), &database);
  execute(database, "PRAGMA synchronous=OFF; PRAGMA cache_size=-262144");
  std::vector<std::string> indices;
  auto add = [](void* to, int, char** values, char**) {
    static_cast<std::vector<std::string>*>(to)->insert(static_cast<std::vector<std::string>*>(to)->end(),
                                                       {values[0], values[1]});
    return 0;
  };
  sqlite3_exec(database, "SELECT name, sql FROM sqlite_master WHERE type='index' AND tbl_name='alert_event'", add, &indices,
               nullptr);
  for (std::size_t i = 0; i < indices.size(); i += 2) execute(database, "DROP INDEX " + indices[i]);
  execute(database, fmt::format(R"(
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {} - 1)
    INSERT INTO alert_event (incident_id, ordinal, dedup_key, pipeline, stage, rule, rule_hash, key, from_state, to_state,
      level_from, level_to, reason, opens, event_ms, wall_ms, value, threshold, message, run_id)
    SELECT 'site/climate/humidity-jump/AZ3166-' || (i / 2 % 10000) || '#' || (1 + i / 20000), 2 * (1 + i / 20000) - (i % 2 = 0),
      'site/climate/humidity-jump/AZ3166-' || (i / 2 % 10000), 'site', 'climate', 'humidity-jump', '0123456789abcdef',
      'AZ3166-' || (i / 2 % 10000), iif(i % 2, 'FIRING', 'OK'), iif(i % 2, 'OK', 'FIRING'), 'ok', 'warning',
      iif(i % 2, 'resolved', 'condition'), i % 2 = 0, 1700000000000 + i, 1700000000000 + i, 12.5, 10,
      'AZ3166-' || (i / 2 % 10000) || ': humidity up 12.5 points in 30 s', '1' FROM n)",
                                events));
  execute(database, fmt::format(R"(
    INSERT INTO alert_state (pipeline, stage, rule, key, state, opening, events) SELECT 'site', 'climate', 'humidity-jump', key, 'OK',
      max(ordinal) / 2, max(ordinal) FROM alert_event GROUP BY key)"));
  for (std::size_t i = 1; i < indices.size(); i += 2) execute(database, indices[i]);
  sqlite3_close(database);
}

void measure_pages(const std::filesystem::path& folder, std::uint64_t events) {
  auto measure = [&](std::string_view name, const IncidentFilter& filter) {
    auto reader = HistoryReader::open(folder).value();
    const auto begin = SteadyClock::now();
    const auto page = reader->incidents(filter).value();
    fmt::print("{{\"figure\":\"page\",\"of\":\"{}\",\"events\":{},\"rows\":{},\"ms\":{:.2f}}}\n", name, events, page.size(),
               seconds_since(begin) * 1e3);
    return page;
  };
  IncidentFilter filter;
  const auto newest = measure("newest", filter);
  filter.before_event_ms = newest.back().opening.event_ms;
  filter.before_seq = newest.back().opening.seq;
  measure("next", filter);
  filter = {};
  filter.state = "open";
  measure("open", filter);
  filter.state = "OK";
  measure("ended", filter);
  filter = {};
  filter.key = "AZ3166-77";
  measure("key", filter);
  filter = {};
  filter.rule = "humidity-jump";
  filter.until_ms = 1'700'000'000'000 + static_cast<std::int64_t>(events / 2);
  measure("rule, half a year ago", filter);
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
  std::uint64_t events = 5'000'000;
  std::filesystem::path folder = std::filesystem::temp_directory_path() / fmt::format("store-bench-{}", ::getpid());
  app.add_option("--transitions", transitions);
  app.add_option("--messages", messages);
  app.add_option("--folder", folder);
  app.add_option("--events", events, "Of the long history; 0 leaves it out");
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(folder / "plain");
  std::filesystem::create_directories(folder / "told");
  measure_commits(folder / "plain", "transitions", 0, transitions, false);
  measure_commits(folder / "told", "transitions_with_notification", 0, transitions / 4, true);
  if (events > 0) {
    std::filesystem::create_directories(folder / "long");
    make_long_history(folder / "long", events);
    measure_pages(folder / "long", events);
    measure_commits(folder / "long", "transitions_into_a_long_history", events, transitions, false);
  }
  measure_inbox(folder / "inbox", messages);
  std::filesystem::remove_all(folder);
}
