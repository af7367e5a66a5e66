#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "runner/graph/pipeline.h"
#include "runner/http/files.h"
#include "runner/http/listener.h"
#include "runner/stage/alert_desks.h"
#include "runner/stage/begun_files.h"
#include "runner/stage/outages.h"
#include "runner/stage/wall_clock.h"
#include "runner/store/inbox_lease.h"
#include "runner/store/store.h"
#include "runner/supervise/events.h"
#include "runner/supervise/listeners.h"
#include "runner/supervise/metrics.h"
#include "runner/supervise/running_pipeline.h"
#include "runner/supervise/version.h"

namespace millrace::supervise {

/// Runs pipelines side by side, reloads them when their files change, ends them on signals. Pipelines that name the same
/// address share its listener; a broken pipeline never stops the others.
class Supervisor {
 public:
  struct Options {
    std::vector<std::filesystem::path> paths;  ///< pipeline files, or folders of them
    std::optional<std::string> text;           ///< a pipeline that is no file, in place of paths
    std::filesystem::path data_folder;         ///< locked by the caller
    std::optional<std::string> listen;         ///< overrides every pipeline's address
    std::span<const http::StaticFile> page;    ///< served at / by every listener
    Duration drain = 8s;                       ///< how long a stop waits for what is on its way
    std::function<void(LogLevel, std::string_view)> log;
    /// Claims further paths of a listener before it starts, for as long as what it returns lives.
    std::function<std::vector<http::Route>(http::Routes&)> further_routes;
    std::function<void(std::string_view address)> on_page;  ///< a listener serves the page here
    AlertDesks* alert_desks = nullptr;  ///< for stages that act on alerts of others; outlives the supervisor
  };

  /// `loader` and `store` outlive the supervisor. The caller has blocked SIGTERM, SIGINT and SIGHUP in all threads.
  Supervisor(const graph::Loader& loader, store::Store& store, Options options);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Runs until all pipelines have ended, or a signal asks to; returns the exit status: 1 if a pipeline could not run.
  int run();

  /// Runs `task` with a stage on its own thread; false if no such stage runs. Any thread.
  bool post(const std::string& pipeline, const std::string& stage, std::function<void(AnyStage&)> task);

  /// All stages as they stand. Any thread.
  std::vector<StageView> views() const;

  /// Files whose pipeline does not run, or not in its present version. Any thread.
  std::vector<BrokenFile> broken_files() const;

 private:
  using Listening = Listeners::Listening;

  struct Entry {
    std::unique_ptr<RunningPipeline> running;  ///< null while the file is broken
    std::vector<std::filesystem::path> inputs;
    std::optional<graph::Pipeline> previous;  ///< to go back to, until a reload has proven itself
    std::string reloaded;                     ///< what to say once it has
    std::optional<Version> refused;           ///< a version that did not work: not tried again while the file is the same
    Listening* listening = nullptr;
    std::string broken;   ///< the problems last reported, so that they are said once
    bool failed = false;  ///< it does not run and should: its file has problems, or a stage refused
    bool ended = false;
  };

  Listeners::Options listener_options();
  std::string metrics() const;
  void load_all();
  void load(const std::filesystem::path& file);
  std::optional<graph::Pipeline> read(config::Problems& problems) const;
  void adopt(Entry& entry, graph::Pipeline pipeline);
  void swap_stages(Entry& entry, graph::Pipeline pipeline);
  void start_elsewhere(Entry& entry, graph::Pipeline pipeline);
  void refuse(Entry& entry, const graph::Pipeline& pipeline, const std::string& why);
  void go_back(Entry& entry, const std::string& why);
  bool start(Entry& entry, graph::Pipeline pipeline, Listening* listening = nullptr);
  void stop(Entry& entry, Duration patience);
  void check_progress();
  bool rewatch();
  bool serves(const graph::Pipeline& pipeline) const;
  std::optional<std::string> name_taken(const graph::Pipeline& pipeline, const Entry& by) const;
  bool all_ended() const;
  void drain_all();
  std::string undelivered() const;
  void tell_unread();
  void clock_was_set();
  void wait(std::optional<Duration> longest);
  void log(LogLevel level, std::string_view text) const;

  const graph::Loader& loader_;
  store::Store& store_;
  Options options_;
  SystemClock clock_;

  struct Wall final : WallClock {
    explicit Wall(const SystemClock& clock) : clock_(clock) {}
    Duration ahead() const override { return clock_.behind(); }

   private:
    const SystemClock& clock_;
  } wall_{clock_};
  store::Inboxes inboxes_;
  BegunFiles begun_files_;
  Outages outages_;
  Events events_;
  std::set<std::filesystem::path> told_unread_;  ///< logs that no stage reads
  bool loaded_ = false;                          ///< what was named, for the first time
  bool stop_asked_ = false;
  bool reload_asked_ = false;

  mutable std::mutex mutex_;  ///< of the map's shape, what is broken and what was lost, for views(), broken_files() and post()
  std::map<std::filesystem::path, Entry> entries_;
  std::map<std::string, std::uint64_t> lost_;  ///< by pipeline: records under way when it ended that no source keeps

  Listeners listeners_;  // last: their threads ask for all of the above
};

}  // namespace millrace::supervise
