// From a record to its transition, committed to a history on disk and emitted: a stage under a steady load in real time, on one
// thread as in a pipeline. Prints {"median", "p99", "transitions", "bare_p99"} in milliseconds; the last is what a write of 4
// KiB and its sync take in the same folder just before and after, as one cannot be quicker than the disk. Run it from a release
// build.

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runner/config/yaml.h"
#include "runner/stage/plugin.h"
#include "runner/store/store.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin alert_plugin();
}

namespace {

using namespace millrace;

Time wall() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

constexpr const char* rules = R"(
rules:
  high: {watch: {value: humidity}, above: 50, severity: warning}
  mean: {watch: {avg: humidity, within: 60s, every: 1s}, above: 90, severity: warning}
)";

struct Load {
  int keys = 10'000, per_second = 100'000, one_in = 100, seconds = 5;
};

double p99(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(static_cast<double>(values.size() - 1) * 0.99)];
}

/// Appends to `waited` what each of some bare syncs takes, in milliseconds.
void sync_barely(const std::filesystem::path& folder, std::vector<double>& waited) {
  constexpr int times = 300;
  const std::string block(4096, 'x');
  const int file = ::open((folder / "bare").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0) throw std::runtime_error("the folder cannot be written to");
  for (int i = 0; i < times; ++i) {
    const auto began = std::chrono::steady_clock::now();
    if (::write(file, block.data(), block.size()) < 0 || ::fdatasync(file) != 0) throw std::runtime_error("the disk is full");
    waited.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
  }
  ::close(file);
}

class Latency {
 public:
  explicit Latency(const Load& load) : load_(load) {
    store_ = store::Store::open(folder_.path()).value();
    host_->provide(*store_);
    config::Problems problems("alert.yaml");
    auto node = config::parse_yaml(rules, problems);
    stage_ = std::get<std::unique_ptr<Transform>>(alert_plugin().parse(*node, problems)(host_->context()));
    host_->time.set(wall());
    if (auto connected = stage_->connect(); !connected) throw std::runtime_error(connected.error().what);
    for (int i = 0; i < load_.keys; ++i) names_.push_back(fmt::format("device-{:05}", i));
  }

  void run() {
    sync_barely(folder_.path(), bare);
    load();
    sync_barely(folder_.path(), bare);
  }

  std::vector<double> waited, bare;

 private:
  static constexpr int warm_ms = 1000;

  void load() {
    const Time begin = wall();
    for (int ms = 0; ms < load_.seconds * 1000; ++ms) {
      const Time due = begin + std::chrono::milliseconds(ms);
      while (wall() < due) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(due - wall() + 999us);
        if (host_->wait_for_wake(std::max(left, 1ms))) tick();
      }
      send(ms >= warm_ms);
      tick();
    }
  }

  void send(bool measured) {
    measured_ = measured;
    Batch batch;
    Arena& arena = batch.arena();
    const Time now = wall();
    for (int i = 0; i < load_.per_second / 1000; ++i, ++sent_) {
      Record& r = batch.append();
      r.device = names_[sent_ % names_.size()];
      r.time = r.arrival = now;
      // Each of so many records raises an alert or ends it.
      bool high = sent_ / names_.size() / 2 % 2 == 1 && sent_ % static_cast<std::size_t>(load_.one_in / 2) == 0;
      r.fields.push(arena, "humidity", Value::real(high ? 60 : 40));
    }
    host_->time.set(now);
    note(stage_->process(std::move(batch)).value());
  }
  void tick() {
    host_->time.set(wall());
    note(stage_->tick(host_->time.now()).value());
  }
  void note(Batch batch) {
    const Time now = wall();
    for (const Record& r : batch.records)
      if (measured_ && r.kind == kind::alert) waited.push_back(std::chrono::duration<double, std::milli>(now - r.time).count());
    batch.ack.settle();
  }

  const Load load_;
  test::TempFolder folder_;
  std::shared_ptr<test::TestHost> host_ = test::TestHost::make("latency");
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Transform> stage_;
  std::vector<std::string> names_;
  std::size_t sent_ = 0;
  bool measured_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Load load;
  CLI::App app{"From a record to its committed transition"};
  app.add_option("--rate", load.per_second, "Records a second")->capture_default_str();
  app.add_option("--keys", load.keys, "Keys")->capture_default_str();
  app.add_option("--seconds", load.seconds, "How long, the first one not measured")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Latency latency(load);
  latency.run();
  std::vector<double>& waited = latency.waited;
  if (waited.empty()) return 1;
  const double latest = p99(waited);
  fmt::print("{{\"median\":{},\"p99\":{},\"transitions\":{},\"bare_p99\":{}}}\n", waited[waited.size() / 2], latest,
             waited.size(), p99(latency.bare));
}
