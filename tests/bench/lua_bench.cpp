// Nanoseconds a record that the Lua part of the reference pipeline costs: add a field, rename one, drop 12 %. Decoding is done
// before and not counted. Run it from a release build; read ratios, these machines are noisy.

#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <vector>

#include "runner/lua/script.h"
#include "runner/stage/json.h"

using namespace millrace;

namespace {

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

std::string lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += fmt::format(
        R"({{"deviceId":"AZ3166-{}","messageId":{},"temperature":{:.2f},"humidity":{:.2f},"pressure":{:.2f},"ts":{}}})"
        "\n",
        i % 100, i, 20 + (i * 7 % 100) / 10.0, (i * 37 % 10000) / 100.0, 1000 + i % 50 / 7.0, 1700000000000 + i);
  }
  return text;
}

double median_of_runs(const std::string& source, const std::string& input) {
  auto compiled = lua::Script::compile(source, "bench.lua", {}, {[] { return Time{}; }, [](LogLevel, std::string_view) {}});
  if (!compiled) {
    fmt::print(stderr, "{}\n", compiled.error().what);
    std::exit(1);
  }
  std::vector<double> costs;
  for (int run = 0; run < 300; ++run) {
    Batch batch;
    (void)JsonDecoder().decode_lines(input, batch, [](std::string_view, const Error&) {});
    const auto count = static_cast<double>(batch.size());
    const double start = cpu_ns();
    compiled->process(batch, [](const Record&, const Error& e) { fmt::print(stderr, "{}\n", e.what); });
    costs.push_back((cpu_ns() - start) / count);
  }
  std::ranges::sort(costs);
  return costs[costs.size() / 2];
}

}  // namespace

int main() {
  const std::string input = lines(1000);
  fmt::print("no-op                  {:6.1f} ns/record\n",
             median_of_runs("function process(record, meta) return record end", input));
  fmt::print("read one field         {:6.1f} ns/record\n",
             median_of_runs("function process(record) local h = record.humidity return record end", input));
  fmt::print("add, rename, drop 12 % {:6.1f} ns/record\n", median_of_runs(R"(
    function process(record, meta)
      if record.humidity >= 88 then return nil end
      record.dew = record.temperature - (100 - record.humidity) / 5
      record.temp = record.temperature
      record.temperature = nil
      return record
    end)",
                                                                          input));
  fmt::print("read and write text    {:6.1f} ns/record\n",
             median_of_runs("function process(record) record.id = record.deviceId return record end", input));
}
