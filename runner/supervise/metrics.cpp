#include "runner/supervise/metrics.h"

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>

#include "runner/stage/json.h"

namespace millrace::supervise {
namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;

/// Metric families under construction, in the order of their names.
class Page {
 public:
  void counter(const std::string& name, const std::string& help, Labels labels, std::uint64_t value) {
    prometheus::ClientMetric& metric = add(name, help, prometheus::MetricType::Counter, std::move(labels));
    metric.counter.value = static_cast<double>(value);
  }
  void gauge(const std::string& name, const std::string& help, Labels labels, std::uint64_t value) {
    gauge(name, help, std::move(labels), static_cast<double>(value));
  }
  void gauge(const std::string& name, const std::string& help, Labels labels, double value) {
    prometheus::ClientMetric& metric = add(name, help, prometheus::MetricType::Gauge, std::move(labels));
    metric.gauge.value = value;
  }
  std::string text() const {
    std::vector<prometheus::MetricFamily> all;
    for (const auto& [name, family] : families_) all.push_back(family);
    return prometheus::TextSerializer().Serialize(all);
  }

 private:
  prometheus::ClientMetric& add(const std::string& name, const std::string& help, prometheus::MetricType type, Labels labels) {
    prometheus::MetricFamily& family = families_[name];
    family.name = name;
    family.help = help;
    family.type = type;
    family.metric.emplace_back();
    family.metric.back().label = std::move(labels);
    return family.metric.back();
  }

  std::map<std::string, prometheus::MetricFamily> families_;
};

void add_stage(Page& page, const StageView& view) {
  Labels labels{{"pipeline", view.pipeline}, {"stage", view.stage}, {"plugin", view.plugin}};
  const StageFigures& f = *view.figures;
  page.counter("millrace_stage_records_in_total", "Records taken from the input links.", labels, f.records_in.value());
  page.counter("millrace_stage_records_out_total", "Records emitted, or for a sink written.", labels, f.records_out.value());
  page.counter("millrace_stage_batches_in_total", "Batches taken from the input links.", labels, f.batches_in.value());
  page.counter("millrace_stage_rejected_total", "Records put into the dead letters.", labels, f.rejected.value());
  page.counter("millrace_stage_errors_total", "Errors that the runner had to act on.", labels, f.errors.value());
  page.counter("millrace_stage_reconnects_total", "Connections lost.", labels, f.reconnects.value());
  page.gauge("millrace_stage_connected", "1 while the stage is connected.", labels, f.connected.value());
  page.gauge("millrace_link_depth_records", "Records queued in the stage's input links.", labels, view.queued_records);
  page.gauge("millrace_link_depth_bytes", "Bytes queued in the stage's input links.", labels, view.queued_bytes);
  for (const auto& [reason, count] : f.dropped()) {
    Labels dropped = labels;
    dropped.push_back({"reason", reason});
    page.counter("millrace_stage_dropped_total", "Records dropped by a declared policy, by reason.", std::move(dropped), count);
  }
  constexpr const char* own = "A figure of the stage's own; its plugin's page says which.";
  for (const auto& [name, value] : f.counted()) page.counter("millrace_stage_" + name + "_total", own, labels, value);
  for (const auto& [name, value] : f.gauges()) page.gauge("millrace_stage_" + name, own, labels, value);
}

void add_history(Page& page, const store::Store::Figures& f) {
  page.counter("millrace_history_commits_total", "Commits written.", {}, f.commits.value());
  page.counter("millrace_history_rows_total", "Rows written.", {}, f.rows.value());
  page.counter("millrace_history_transactions_total", "Transactions that the commits were grouped into.", {},
               f.transactions.value());
  page.counter("millrace_history_refused_total", "Commits answered with an error.", {}, f.refused.value());
  page.counter("millrace_history_failed_total", "Attempts at a transaction that the disk did not take.", {}, f.failed.value());
  page.gauge("millrace_history_paused", "1 while the disk does not take commits.", {}, f.paused.value());
  page.gauge("millrace_history_queued", "Commits that wait.", {}, f.queued.value());
  page.counter("millrace_dead_letters_total", "Dead letters written.", {}, f.dead_letters.value());
  page.counter("millrace_dead_letters_dropped_total", "Oldest dead letters dropped by the limit of a stage.", {},
               f.dead_letters_dropped.value());
  page.gauge("millrace_history_quarantined", "1 if this start put a damaged history aside.", {}, f.quarantined.value());
}

void add_listener(Page& page, const http::Listener& listener) {
  Labels labels{{"address", listener.options().address.text()}};
  const http::ListenerCounters& c = listener.counters();
  page.gauge("millrace_http_connections", "Open connections.", labels, c.connections.value());
  page.counter("millrace_http_accepted_total", "Connections accepted.", labels, c.accepted.value());
  page.counter("millrace_http_requests_total", "Requests served.", labels, c.requests.value());
  page.counter("millrace_http_refused_full_total", "Connections refused because there were too many.", labels,
               c.refused_full.value());
  page.counter("millrace_http_refused_malformed_total", "Requests that were not proper HTTP.", labels,
               c.refused_malformed.value());
  page.counter("millrace_http_timed_out_total", "Connections cut off because they were too slow.", labels, c.timed_out.value());
}

std::string_view name_of(Condition condition) {
  switch (condition) {
    case Condition::connecting: return "connecting";
    case Condition::running: return "running";
    case Condition::ending: return "ending";
    case Condition::done: return "done";
    case Condition::failed: return "failed";
  }
  return "?";
}

}  // namespace

std::string metrics_text(const std::vector<StageView>& stages, const store::Store::Figures* history,
                         const std::vector<const http::Listener*>& listeners, const ProcessFigures& process) {
  Page page;
  page.gauge("millrace_clock_behind_seconds", "How far the system's clock is ahead of the one that stages go by.", {},
             std::chrono::duration<double>(process.clock_behind).count());
  for (const auto& [pipeline, records] : process.lost)
    page.counter("millrace_pipeline_lost_total", "Records under way when a pipeline ended, of sources that keep none.",
                 {{"pipeline", pipeline}}, records);
  for (const StageView& view : stages) add_stage(page, view);
  if (history) add_history(page, *history);
  for (const http::Listener* listener : listeners) add_listener(page, *listener);
  return page.text();
}

http::Readiness readiness_of(const std::vector<StageView>& stages, const std::vector<BrokenFile>& broken, bool history_paused) {
  http::Readiness readiness{true, "{\"stages\":["};
  std::string& json = readiness.json;
  for (const StageView& view : stages) {
    bool begun = view.condition == Condition::running && view.figures->connected.value() == 0;
    if (begun || view.condition == Condition::connecting || view.condition == Condition::failed) readiness.ready = false;
    json += json.back() == '}' ? ",{\"pipeline\":" : "{\"pipeline\":";
    append_json_string(json, view.pipeline);
    json += ",\"stage\":";
    append_json_string(json, view.stage);
    json += ",\"condition\":";
    append_json_string(json, name_of(begun ? Condition::connecting : view.condition));
    json += "}";
  }
  json += "],\"broken\":[";
  for (const BrokenFile& file : broken) {
    readiness.ready = readiness.ready && file.running;
    json += json.back() == '}' ? ",{\"file\":" : "{\"file\":";
    append_json_string(json, file.file);
    json += file.running ? ",\"running\":true}" : ",\"running\":false}";
  }
  std::string_view status = !readiness.ready ? "not ready" : history_paused || !broken.empty() ? "degraded" : "ready";
  json += fmt::format("],\"history_paused\":{},\"status\":\"{}\",\"ready\":{}}}", history_paused, status, readiness.ready);
  return readiness;
}

}  // namespace millrace::supervise
