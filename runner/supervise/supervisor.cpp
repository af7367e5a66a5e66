#include "runner/supervise/supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <set>

#include "runner/http/access.h"
#include "runner/http/address.h"
#include "runner/http/routes.h"
#include "runner/http/token_keys.h"

namespace millrace::supervise {
namespace {

/// An editor that saves touches a file several times; the last touch counts.
constexpr Duration settle_time = 80ms;
constexpr int most_touches = 50;

std::string text_of(const config::Problems& problems) {
  std::string text;
  for (const config::Problem& problem : problems.list()) text += problem.text() + "\n";
  return text;
}

/// What a pipeline keeps through a reload; where it changes, nothing of the former version can stay.
std::string place_of(const graph::Pipeline& pipeline) {
  const graph::Listen& l = pipeline.listen;
  return fmt::format("{}\n{}\n{} {}\n{}\n{}\n{}", pipeline.name, l.address, l.insecure, static_cast<int>(l.auth),
                     l.token_keys.path.string(), l.tls ? l.tls->cert.path.string() : "", l.tls ? l.tls->key.path.string() : "");
}

/// Equal for two versions of a file if there is nothing to change from one to the other.
std::string version_of(const graph::Pipeline& pipeline) {
  return place_of(pipeline) + "\n" + RunningPipeline::version_of(pipeline);
}

}  // namespace

Supervisor::Supervisor(const graph::Loader& loader, store::Store& store, Options options)
    : loader_(loader), store_(store), options_(std::move(options)) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  signals_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  wakes_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  steps_ = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  watch_clock();
}

Supervisor::~Supervisor() {
  for (auto& [file, entry] : entries_) stop(entry, options_.drain);
  close(signals_);
  close(wakes_);
  if (steps_ >= 0) close(steps_);
}

void Supervisor::log(LogLevel level, std::string_view text) const {
  if (options_.log) options_.log(level, text);
}

int Supervisor::run() {
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
      problems.add({}, fmt::format("the name '{}' is taken by {}; give one of them another 'name'", pipeline->name, *other));
  }
  if (!problems.empty()) {
    std::string text = text_of(problems);
    if (text == entry->broken) return;
    {
      std::lock_guard lock(mutex_);
      entry->broken = text;
      entry->failed = !entry->running;
    }
    entry->refused.clear();
    for (const config::Problem& problem : problems.list()) log(LogLevel::error, problem.text());
    if (entry->running) log(LogLevel::error, fmt::format("{}: the running version goes on", file.string()));
    return;
  }
  adopt(*entry, std::move(*pipeline));
}

std::optional<graph::Pipeline> Supervisor::read(config::Problems& problems) const {
  return options_.text ? loader_.parse(*options_.text, problems) : loader_.load(problems);
}

std::optional<std::string> Supervisor::name_taken(const graph::Pipeline& pipeline, const Entry& by) const {
  for (const auto& [file, entry] : entries_)
    if (&entry != &by && entry.running && entry.running->definition().name == pipeline.name) return file.string();
  return std::nullopt;
}

void Supervisor::adopt(Entry& entry, graph::Pipeline pipeline) {
  std::string version = version_of(pipeline);
  if (entry.running && version == entry.refused) return;
  entry.refused.clear();
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
  if (version == version_of(now)) return;
  bool stays = place_of(pipeline) == place_of(now) && serves(pipeline) == (entry.listening != nullptr);
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
  if (serves(pipeline)) {
    Result<http::ListenOptions> wanted = listen_options(pipeline.listen);
    bool elsewhere =
        !entry.listening || !wanted || entry.listening->listener->options().address.text() != wanted->address.text();
    if (elsewhere) {
      Result<Listening*> listening = listening_for(pipeline);
      if (!listening) return refuse(entry, pipeline, listening.error().what);
      ready = *listening;
    }
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
  entry.refused = version_of(pipeline);
  std::lock_guard lock(mutex_);
  entry.broken = "the new version did not start";
}

void Supervisor::refuse(Entry& entry, const graph::Pipeline& pipeline, const std::string& why) {
  log(LogLevel::error, fmt::format("{}: {}; the running version goes on", entry.running->name(), why));
  entry.refused = version_of(pipeline);
  std::lock_guard lock(mutex_);
  entry.broken = why;
}

/// From a reload that has failed to the version that ran before it.
void Supervisor::go_back(Entry& entry, const std::string& why) {
  graph::Pipeline failed = entry.running->definition();
  graph::Pipeline previous = *std::exchange(entry.previous, std::nullopt);
  log(LogLevel::error, fmt::format("{}: {}; going back to the version that ran", failed.name, why));
  if (place_of(failed) == place_of(previous)) {
    if (Result<void> back = entry.running->reload(std::move(previous)); !back) {
      log(LogLevel::error, fmt::format("{}: {}", failed.name, back.error().what));
      wake();  // what has failed still has, and there is nothing more to go back to
    }
    entry.running->keep();
  } else {
    stop(entry, Duration(0));
    start(entry, std::move(previous));
  }
  entry.refused = version_of(failed);
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
  services->rooms[std::type_index(typeid(store::Store))] = &store_;
  services->rooms[std::type_index(typeid(WallClock))] = &wall_;
  if (options_.alert_desks) services->rooms[std::type_index(typeid(AlertDesks))] = options_.alert_desks;
  services->rooms[std::type_index(typeid(store::Inboxes))] = &inboxes_;
  if (serves(pipeline)) {
    Result<Listening*> listening = ready ? Result<Listening*>(ready) : listening_for(pipeline);
    if (!listening) {
      log(LogLevel::error, fmt::format("{}: {}", pipeline.name, listening.error().what));
      std::lock_guard lock(mutex_);
      entry.failed = true;
      return false;
    }
    entry.listening = *listening;
    services->rooms[std::type_index(typeid(http::Routes))] = &entry.listening->listener->routes();
  }
  auto running = std::make_unique<RunningPipeline>(std::move(pipeline), std::move(services), [this] { wake(); });
  running->start();
  std::lock_guard lock(mutex_);
  entry.running = std::move(running);
  entry.failed = entry.ended = false;
  return true;
}

void Supervisor::stop(Entry& entry, Duration patience) {
  if (!entry.running) return;
  if (!entry.ended && patience > Duration(0)) {
    entry.running->drain(End::shutdown);
    Time give_up = clock_.now() + patience;
    while (!entry.running->done() && clock_.now() < give_up) wait(give_up - clock_.now());
  }
  std::unique_ptr<RunningPipeline> ending;
  {
    std::lock_guard lock(mutex_);
    ending = std::move(entry.running);
  }
  ending.reset();
  release(entry.listening);
  wake();  // other pipelines' news may have been taken for this one's
}

void Supervisor::drain_all() {
  for (auto& [file, entry] : entries_)
    if (entry.running && !entry.ended) entry.running->drain(End::shutdown);
  Time give_up = clock_.now() + options_.drain;
  auto draining = [&] {
    return std::any_of(entries_.begin(), entries_.end(),
                       [](const auto& e) { return e.second.running && !e.second.running->done(); });
  };
  bool asked = std::exchange(stop_asked_, false);
  if (asked && draining())
    log(LogLevel::info, fmt::format("stopping; what is on its way has {:.1f} s, a second signal ends that at once",
                                    std::chrono::duration<double>(options_.drain).count()));
  while (draining() && clock_.now() < give_up && !stop_asked_) wait(give_up - clock_.now());
  if (draining())
    log(LogLevel::warning,
        fmt::format("not everything could be delivered in time: {}; what its source keeps comes again at the next start",
                    undelivered()));
  for (auto& [file, entry] : entries_) {
    entry.ended = true;
    stop(entry, Duration(0));
  }
}

/// The stages that are not done, with what waits for them.
std::string Supervisor::undelivered() const {
  std::string text;
  for (const StageView& view : views()) {
    if (view.condition == Condition::done || view.condition == Condition::failed) continue;
    text +=
        fmt::format("{}{}/{} ({} records queued)", text.empty() ? "" : ", ", view.pipeline, view.stage, view.queued_records);
  }
  return text;
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
  for (const auto& path : options_.paths)
    if (std::filesystem::is_directory(path, error)) folders.push_back(path);
  return watch_.watch(files, folders);
}

Result<http::ListenOptions> Supervisor::listen_options(const graph::Listen& listen) {
  http::ListenOptions made;
  auto address = http::parse_address(options_.listen.value_or(listen.address));
  if (!address) return address.error();
  made.address = *address;
  made.insecure = listen.insecure;
  if (listen.tls) made.tls = http::Tls{listen.tls->cert.path, listen.tls->key.path};
  if (listen.auth == graph::Listen::Auth::required) made.auth = http::Auth::required;
  if (listen.auth == graph::Listen::Auth::none) made.auth = http::Auth::none;
  made.keys = token_keys(listen);
  return made;
}

std::shared_ptr<http::TokenKeys> Supervisor::token_keys(const graph::Listen& listen) {
  std::filesystem::path file = listen.token_keys.path;
  if (file.empty() && options_.data_folder.empty()) return nullptr;
  if (file.empty()) file = http::TokenKeys::file_in(options_.data_folder);
  auto& keys = token_keys_[file];
  if (!keys)
    keys = std::make_shared<http::TokenKeys>(file, [this](std::string_view problem) { log(LogLevel::error, problem); });
  return keys;
}

Result<Supervisor::Listening*> Supervisor::listening_for(const graph::Pipeline& pipeline) {
  Result<http::ListenOptions> wanted = listen_options(pipeline.listen);
  if (!wanted) return wanted.error();
  std::string key = wanted->address.text();
  auto found = listeners_.find(key);
  if (found != listeners_.end()) {
    if (!(found->second->listener->options() == *wanted))
      return invalid(fmt::format("another pipeline listens on {} with other settings for TLS or tokens", key));
    ++found->second->users;
    return found->second.get();
  }
  auto made = std::make_unique<Listening>();
  made->listener = std::make_unique<http::Listener>(*wanted, options_.log);
  http::Routes& routes = made->listener->routes();
  auto add = [&](Result<http::Route> route) {
    if (route) made->routes.push_back(std::move(*route));
  };
  add(routes.add("/healthz", http::serve_health()));
  add(routes.add("/readyz", http::serve_readiness([this] {
                   return readiness_of(views(), broken_files(), store_.figures().paused.value() > 0);
                 })));
  add(routes.add("/api/session", http::serve_session(routes.access())));
  auto metrics = http::serve_metrics([this] {
    std::vector<StageView> stages = views();
    std::lock_guard lock(mutex_);
    std::vector<const http::Listener*> listeners;
    for (const auto& [address, listening] : listeners_) listeners.push_back(listening->listener.get());
    return metrics_text(stages, &store_.figures(), listeners, clock_.behind());
  });
  add(routes.add("/metrics", http::demand(routes.access(), http::Right::read, std::move(metrics))));
  if (options_.further_routes)
    for (http::Route& route : options_.further_routes(routes)) made->routes.push_back(std::move(route));
  if (!options_.page.empty()) add(routes.add_prefix("/", http::serve_files(options_.page)));
  Result<std::uint16_t> port = made->listener->start();
  if (!port) return port.error();
  made->users = 1;
  http::Address bound = wanted->address;
  bound.port = *port;
  if (options_.on_page) options_.on_page(fmt::format("{}://{}/", wanted->tls ? "https" : "http", bound.text()));
  std::lock_guard lock(mutex_);
  return (listeners_[key] = std::move(made)).get();
}

void Supervisor::release(Listening*& listening) {
  Listening* released = std::exchange(listening, nullptr);
  if (!released || --released->users > 0) return;
  released->listener->stop();
  std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [&](const auto& entry) { return entry.second.get() == released; });
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

/// Asks the kernel to say when the clock is set: a timer in the far future that this cancels (timerfd_create(2)).
void Supervisor::watch_clock() {
  if (steps_ < 0) return;
  itimerspec far{};
  far.it_value.tv_sec =
      std::chrono::duration_cast<std::chrono::seconds>((clock_.now() + 24h * 3650).time_since_epoch()).count();
  timerfd_settime(steps_, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, nullptr);
}

void Supervisor::clock_was_set() {
  watch_clock();
  double behind = std::chrono::duration<double>(clock_.behind()).count();
  if (std::abs(behind) < 1) return;
  log(LogLevel::warning,
      fmt::format(
          "the system's clock was set; it is now {:+.1f} s from the one that stages go by, which is drawn towards it by "
          "{:.1f} s an hour. Start Millrace again to follow at once",
          behind, 3600.0 / SystemClock::slew));
}

void Supervisor::wake() noexcept {
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(wakes_, &one, sizeof one);
}

void Supervisor::wait(std::optional<Duration> longest) {
  pollfd polled[] = {{signals_, POLLIN, 0}, {wakes_, POLLIN, 0}, {watch_.descriptor(), POLLIN, 0}, {steps_, POLLIN, 0}};
  if (longest) longest = std::max(*longest, Duration(0));  // a negative wait would be one without end
  int timeout = longest ? static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(*longest).count()) : -1;
  if (poll(polled, std::size(polled), timeout) <= 0) return;
  if (polled[0].revents != 0) {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo != SIGHUP) {
        stop_asked_ = true;
        continue;
      }
      reload_asked_ = true;
      for (auto& [file, entry] : entries_) entry.refused.clear();
    }
  }
  if (polled[1].revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] ssize_t taken = ::read(wakes_, &count, sizeof count);
  }
  if (polled[3].revents != 0) clock_was_set();
  if (polled[2].revents != 0 && watch_.take()) {
    // As long as files go on changing, but not for ever, and never past a signal.
    constexpr int settle_ms = std::chrono::duration_cast<std::chrono::milliseconds>(settle_time).count();
    pollfd more[] = {{watch_.descriptor(), POLLIN, 0}, {signals_, POLLIN, 0}};
    for (int touches = 0; touches < most_touches && poll(more, 2, settle_ms) > 0; ++touches) {
      if (more[1].revents != 0) break;
      watch_.take();
    }
    reload_asked_ = true;
  }
}

}  // namespace millrace::supervise
