#include "runner/supervise/supervisor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "runner/http/routes.h"
#include "runner/supervise/unread.h"

namespace millrace::supervise {
namespace {

std::string text_of(const config::Problems& problems) {
  std::string text;
  for (const config::Problem& problem : problems.in_order()) text += problem.text() + "\n";
  return text;
}

}  // namespace

Supervisor::Supervisor(const graph::Loader& loader, store::Store& store, Options options)
    : loader_(loader), store_(store), options_(std::move(options)), listeners_(listener_options()) {}

Supervisor::~Supervisor() {
  for (auto& [file, entry] : entries_) stop(entry, options_.drain);
}

Listeners::Options Supervisor::listener_options() {
  Listeners::Options made;
  made.data_folder = options_.data_folder;
  made.listen = options_.listen;
  made.page = options_.page;
  made.log = [this](LogLevel level, std::string_view text) { log(level, text); };
  made.further_routes = options_.further_routes;
  made.on_page = options_.on_page;
  made.readiness = [this] { return readiness_of(views(), broken_files(), store_.figures().paused.value() > 0); };
  made.metrics = [this] { return metrics(); };
  return made;
}

std::string Supervisor::metrics() const {
  std::vector<StageView> stages = views();
  ProcessFigures process{clock_.behind(), {}};
  {
    std::lock_guard lock(mutex_);
    process.lost = lost_;
  }
  std::string text;
  listeners_.all([&](const auto& listeners) { text = metrics_text(stages, &store_.figures(), listeners, process); });
  return text;
}

void Supervisor::log(LogLevel level, std::string_view text) const {
  if (options_.log) options_.log(level, text);
}

int Supervisor::run() {
  rewatch();  // before anything is read: what comes into a folder while its first pipelines start is noticed afterwards
  load_all();
  loaded_ = true;
  if (std::none_of(entries_.begin(), entries_.end(), [](const auto& e) { return e.second.running != nullptr; })) return 1;
  while (!stop_asked_ && !all_ended()) {
    wait(reload_asked_ ? std::optional<Duration>(0) : std::nullopt);
    if (reload_asked_) {
      reload_asked_ = false;
      load_all();
    }
    check_progress();
  }
  drain_all();
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& e) { return e.second.failed; }) ? 1 : 0;
}

bool Supervisor::all_ended() const {
  return std::all_of(entries_.begin(), entries_.end(), [](const auto& e) { return e.second.ended || !e.second.running; });
}

void Supervisor::load_all() {
  std::set<std::filesystem::path> present;
  for (const auto& path : options_.paths)
    for (const auto& file : graph::pipeline_files(path)) present.insert(file.lexically_normal());
  if (options_.text) present.insert("pipeline.yaml");
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (present.contains(entry->first)) {
      ++entry;
      continue;
    }
    log(LogLevel::info, fmt::format("{} is gone; its pipeline ends", entry->first.string()));
    stop(entry->second, options_.drain);
    std::lock_guard lock(mutex_);
    entry = entries_.erase(entry);
  }
  for (const auto& file : present) load(file);
  listeners_.renew_certificates();
  tell_unread();
  if (present.empty()) log(LogLevel::error, "there is no pipeline file (*.yaml, *.yml) in what was named");
  // A file may have changed since it was read and before its folder was watched.
  if (rewatch() && loaded_) reload_asked_ = true;
}

void Supervisor::load(const std::filesystem::path& file) {
  Entry* entry = nullptr;
  {
    std::lock_guard lock(mutex_);
    entry = &entries_[file];
  }
  config::Problems problems(file);
  std::optional<graph::Pipeline> pipeline = read(problems);
  entry->inputs = problems.inputs();
  if (pipeline) {
    if (auto other = name_taken(*pipeline, *entry))
      problems.add(pipeline->name_position,
                   fmt::format("the name '{}' is taken by {}; give one of them another 'name'", pipeline->name, *other));
  }
  if (!problems.empty()) {
    std::string text = text_of(problems);
    if (text == entry->broken) return;
    {
      std::lock_guard lock(mutex_);
      entry->broken = text;
      entry->failed = !entry->running;
    }
    entry->refused.reset();
    for (const config::Problem& problem : problems.in_order()) log(LogLevel::error, problem.text());
    if (entry->running) log(LogLevel::error, fmt::format("{}: the running version goes on", file.string()));
    return;
  }
  adopt(*entry, std::move(*pipeline));
}

std::optional<graph::Pipeline> Supervisor::read(config::Problems& problems) const {
  if (!options_.text) return loader_.load(problems);
  std::optional<graph::Pipeline> pipeline = loader_.parse(*options_.text, problems);
  if (pipeline) pipeline->file.clear();  // there is none that anybody could look into
  return pipeline;
}

std::optional<std::string> Supervisor::name_taken(const graph::Pipeline& pipeline, const Entry& by) const {
  for (const auto& [file, entry] : entries_)
    if (&entry != &by && entry.running && entry.running->definition().name == pipeline.name) return file.string();
  return std::nullopt;
}

void Supervisor::adopt(Entry& entry, graph::Pipeline pipeline) {
  Version version(pipeline);
  if (entry.running && entry.refused == version) return;
  entry.refused.reset();
  {
    std::lock_guard lock(mutex_);
    entry.broken.clear();
  }
  if (entry.ended) return;  // its input is over; a changed file does not read it again
  if (!entry.running) {
    start(entry, std::move(pipeline));
    return;
  }
  const graph::Pipeline& now = entry.running->definition();
  if (version == Version(now)) return;
  bool stays = version.place == Place(now) && serves(pipeline) == (entry.listening != nullptr);
  stays ? swap_stages(entry, std::move(pipeline)) : start_elsewhere(entry, std::move(pipeline));
}

/// Changes the stages that differ.
void Supervisor::swap_stages(Entry& entry, graph::Pipeline pipeline) {
  graph::Pipeline before = entry.running->definition();
  graph::Pipeline next = pipeline;
  if (Result<void> done = entry.running->reload(std::move(next)); !done) {
    refuse(entry, pipeline, done.error().what);
    return;
  }
  if (!entry.previous) entry.previous = std::move(before);
  entry.reloaded = "reloaded";
}

/// Starts a version with another name or address: nothing of the former one can stay.
void Supervisor::start_elsewhere(Entry& entry, graph::Pipeline pipeline) {
  Listening* ready = nullptr;
  if (serves(pipeline) && !listeners_.at(entry.listening, pipeline.listen)) {
    Result<Listening*> listening = listeners_.acquire(pipeline.listen);
    if (!listening) return refuse(entry, pipeline, listening.error().what);
    ready = *listening;
  }
  graph::Pipeline before = entry.previous ? *entry.previous : entry.running->definition();
  stop(entry, options_.drain);
  graph::Pipeline next = pipeline;
  if (start(entry, std::move(next), ready)) {
    entry.previous = std::move(before);
    entry.reloaded = "restarted under its new name or address";
    return;
  }
  log(LogLevel::error, fmt::format("{}: going back to the version that ran", before.name));
  start(entry, std::move(before));
  entry.refused = Version(pipeline);
  std::lock_guard lock(mutex_);
  entry.broken = "the new version did not start";
}

void Supervisor::refuse(Entry& entry, const graph::Pipeline& pipeline, const std::string& why) {
  log(LogLevel::error, fmt::format("{}: {}; the running version goes on", entry.running->name(), why));
  entry.refused = Version(pipeline);
  std::lock_guard lock(mutex_);
  entry.broken = why;
}

/// From a reload that has failed to the version that ran before it.
void Supervisor::go_back(Entry& entry, const std::string& why) {
  graph::Pipeline failed = entry.running->definition();
  graph::Pipeline previous = *std::exchange(entry.previous, std::nullopt);
  log(LogLevel::error, fmt::format("{}: {}; going back to the version that ran", failed.name, why));
  if (Place(failed) == Place(previous)) {
    if (Result<void> back = entry.running->reload(std::move(previous)); !back) {
      log(LogLevel::error, fmt::format("{}: {}", failed.name, back.error().what));
      events_.wake();  // what has failed still has, and there is nothing more to go back to
    }
    entry.running->keep();
  } else {
    stop(entry, Duration(0));
    start(entry, std::move(previous));
  }
  entry.refused = Version(failed);
  std::lock_guard lock(mutex_);
  entry.broken = why;
}

bool Supervisor::serves(const graph::Pipeline& pipeline) const { return pipeline.serves || options_.listen; }

bool Supervisor::start(Entry& entry, graph::Pipeline pipeline, Listening* ready) {
  auto services = std::make_shared<Services>();
  services->clock = &clock_;
  services->data_folder = options_.data_folder;
  services->store = &store_;
  services->log = options_.log;
  services->on_lost = [this](const std::string& name, std::uint64_t records) {
    std::lock_guard lock(mutex_);
    lost_[name] += records;
  };
  services->rooms[std::type_index(typeid(store::Store))] = &store_;
  services->rooms[std::type_index(typeid(WallClock))] = &wall_;
  if (options_.alert_desks) services->rooms[std::type_index(typeid(AlertDesks))] = options_.alert_desks;
  services->rooms[std::type_index(typeid(store::Inboxes))] = &inboxes_;
  services->rooms[std::type_index(typeid(BegunFiles))] = &begun_files_;
  services->rooms[std::type_index(typeid(Outages))] = &outages_;
  if (serves(pipeline)) {
    Result<Listening*> listening = ready ? Result<Listening*>(ready) : listeners_.acquire(pipeline.listen);
    if (!listening) {
      log(LogLevel::error, fmt::format("{}: {}", pipeline.name, listening.error().what));
      std::lock_guard lock(mutex_);
      entry.failed = true;
      return false;
    }
    entry.listening = *listening;
    services->rooms[std::type_index(typeid(http::Routes))] = &entry.listening->listener->routes();
  }
  auto running = std::make_unique<RunningPipeline>(std::move(pipeline), std::move(services), [this] { events_.wake(); });
  running->start();
  std::lock_guard lock(mutex_);
  entry.running = std::move(running);
  entry.failed = entry.ended = false;
  return true;
}

/// Says what the data folder holds for stages that there are no longer; once each, and only while it is known which there are.
void Supervisor::tell_unread() {
  if (options_.data_folder.empty()) return;
  std::vector<const graph::Pipeline*> pipelines;
  for (const auto& [file, entry] : entries_) {
    if (!entry.running || !entry.broken.empty()) return;
    pipelines.push_back(&entry.running->definition());
  }
  for (const UnreadLog& unread : unread_logs(options_.data_folder, pipelines, inboxes_))
    if (told_unread_.insert(unread.folder).second) log(LogLevel::warning, unread.text());
}

void Supervisor::check_progress() {
  for (auto& [file, entry] : entries_) {
    if (!entry.running || entry.ended) continue;
    bool settled = entry.running->settled();  // before the failures are looked at: none that it knows of is missed
    std::optional<std::string> failure = entry.running->failure();
    if (failure && entry.previous) {
      go_back(entry, *failure);
      continue;
    }
    if (failure) {
      log(LogLevel::error, fmt::format("{}: {}; the pipeline ends", entry.running->definition().name, *failure));
      stop(entry, Duration(0));
      std::lock_guard lock(mutex_);
      entry.failed = true;
      continue;
    }
    if (entry.previous && settled) {
      entry.previous.reset();
      entry.running->keep();
      log(LogLevel::info, fmt::format("{}: {}", entry.running->name(), entry.reloaded));
      tell_unread();
    }
    if (entry.running->done()) {
      log(LogLevel::info, fmt::format("{}: all input is over", entry.running->definition().name));
      entry.ended = true;
    }
  }
}

bool Supervisor::rewatch() {
  std::vector<std::filesystem::path> files, folders;
  for (const auto& [file, entry] : entries_) {
    files.push_back(file);
    files.insert(files.end(), entry.inputs.begin(), entry.inputs.end());
  }
  std::error_code error;
  for (const auto& path : options_.paths) (std::filesystem::is_directory(path, error) ? folders : files).push_back(path);
  return events_.watch(files, folders);
}

bool Supervisor::post(const std::string& pipeline, const std::string& stage, std::function<void(AnyStage&)> task) {
  std::lock_guard lock(mutex_);
  for (auto& [file, entry] : entries_)
    if (entry.running && entry.running->name() == pipeline) return entry.running->post(stage, std::move(task));
  return false;
}

std::vector<StageView> Supervisor::views() const {
  std::lock_guard lock(mutex_);
  std::vector<StageView> all;
  for (const auto& [file, entry] : entries_) {
    if (!entry.running) continue;
    std::vector<StageView> views = entry.running->views();
    std::move(views.begin(), views.end(), std::back_inserter(all));
  }
  return all;
}

std::vector<BrokenFile> Supervisor::broken_files() const {
  std::lock_guard lock(mutex_);
  std::vector<BrokenFile> broken;
  for (const auto& [file, entry] : entries_)
    // One whose listener is up and whose stages are not yet would else pass for ready.
    if (entry.failed || !entry.broken.empty() || (!entry.running && !entry.ended))
      broken.push_back({file.string(), entry.running != nullptr});
  return broken;
}

void Supervisor::clock_was_set() {
  double behind = std::chrono::duration<double>(clock_.behind()).count();
  if (std::abs(behind) < 1) return;
  log(LogLevel::warning,
      fmt::format(
          "the system's clock was set; it is now {:+.1f} s from the one that stages go by, which is drawn towards it by "
          "{:.1f} s an hour. Start Millrace again to follow at once",
          behind, 3600.0 / SystemClock::slew));
}

void Supervisor::wait(std::optional<Duration> longest) {
  Events::News news = events_.wait(longest);
  stop_asked_ |= news.stop;
  reload_asked_ |= news.hangup || news.files;
  if (news.hangup)
    for (auto& [file, entry] : entries_) entry.refused.reset();
  if (news.clock_set) clock_was_set();
}

}  // namespace millrace::supervise
