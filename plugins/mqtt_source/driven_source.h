#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runner/config/plugin.h"
#include "runner/config/yaml.h"
#include "runner/store/inbox_lease.h"
#include "tests/support/mosquitto.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin mqtt_source_plugin();
}

/// A source under test on a real broker, and what is published to it.
namespace millrace::mqtt_source::driven {

using namespace std::chrono_literals;
using test::Mosquitto;
using test::TestHost;

constexpr auto patience = std::chrono::seconds(60);

inline std::function<AnyStage(Context)> parse(const std::string& yaml, config::Problems& problems) {
  auto node = config::parse_yaml("plugin: mqtt_source\n" + yaml, problems);
  REQUIRE(node);
  return mqtt_source_plugin().parse(*node, problems);
}

/// One for all stages of a test program, as a running instance has.
inline store::Inboxes inboxes;

/// A source as the runner drives it: polled when woken, connected again at once after `unavailable`, unless told otherwise.
struct Stage {
  Stage(std::shared_ptr<TestHost> host_, const std::string& yaml) : host(std::move(host_)) {
    config::Problems problems{"test.yaml"};
    auto make = parse(yaml, problems);
    for (const auto& problem : problems.list()) FAIL(problem.text());
    host->provide(inboxes);
    source = std::get<std::unique_ptr<Source>>(make(host->context()));
    REQUIRE(source->connect().has_value());
  }

  /// Polls until `done` says so; false at the deadline. Keeps the batches.
  template <class F>
  bool poll_until(F&& done) {
    auto deadline = std::chrono::steady_clock::now() + patience;
    while (!done()) {
      auto batch = source->poll();
      if (!batch) {
        errors.push_back(batch.error());
        if (reconnect) REQUIRE(source->connect().has_value());
      } else if (batch->empty() && batch->ack.empty()) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        if (left <= 0ms || !host->wait_for_wake(left)) return false;
      } else {
        for (const Record& r : batch->records) numbers.push_back(r.fields.find("n") ? r.fields.find("n")->as_integer() : -1);
        batches.push_back(std::move(*batch));
      }
    }
    return true;
  }
  bool receive(std::size_t count) {
    return poll_until([&] { return numbers.size() >= count; });
  }
  bool fail_once() {
    return poll_until([&] { return !errors.empty(); });
  }
  void settle() {
    for (Batch& batch : batches) batch.ack.settle();
    batches.clear();
  }

  std::shared_ptr<TestHost> host;
  std::unique_ptr<Source> source;
  std::vector<Batch> batches;
  std::vector<std::int64_t> numbers;
  std::vector<Error> errors;
  bool reconnect = false;
};

/// Publishes a message a line, from a process of its own; returns when the broker has them.
inline void publish(const Mosquitto& broker, const std::string& lines, int qos = 1, const std::string& more = "") {
  std::string command = "mosquitto_pub -h 127.0.0.1 -p " + std::to_string(broker.port()) + " -q " + std::to_string(qos) +
                        " -t devices/a/messages/events/ -l " + more;
  FILE* publisher = popen(command.c_str(), "w");
  REQUIRE(publisher);
  CHECK(std::fwrite(lines.data(), 1, lines.size(), publisher) == lines.size());
  REQUIRE(pclose(publisher) == 0);
}

inline void publish_numbers(const Mosquitto& broker, int first, int last, int qos = 1) {
  std::string lines;
  for (int n = first; n <= last; ++n) lines += "{\"n\":" + std::to_string(n) + "}\n";
  publish(broker, lines, qos);
}

inline std::string options(const Mosquitto& broker, const std::string& more = "") {
  return "broker: " + broker.url() + "\ntopics: [devices/+/messages/events/#]\n" + more;
}

inline std::vector<std::int64_t> upto(std::int64_t last) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t n = 1; n <= last; ++n) numbers.push_back(n);
  return numbers;
}

}  // namespace millrace::mqtt_source::driven
