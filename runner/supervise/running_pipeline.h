#pragma once

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/graph/pipeline.h"
#include "runner/link/link.h"
#include "runner/supervise/layout.h"
#include "runner/supervise/recorder.h"
#include "runner/supervise/stage_runner.h"
#include "runner/supervise/worker.h"

namespace millrace::supervise {

/// What `/metrics` and `/readyz` show of one stage; read from any thread.
struct StageView {
  std::string pipeline, stage, plugin;
  bool keeps_alerts;
  Condition condition;
  std::shared_ptr<StageFigures> figures;
  std::uint64_t queued_records, queued_bytes;  ///< in its input links
};

/// One pipeline's threads, stages and links. All calls come from one thread, the supervisor's, but for views() and post().
class RunningPipeline {
 public:
  /// `on_change` is called, on any thread, when a stage has tried to connect, ends or fails.
  RunningPipeline(graph::Pipeline pipeline, std::shared_ptr<Services> services, std::function<void()> on_change);
  ~RunningPipeline();  ///< stops the threads; what is unsettled is refused, and counted where no source keeps it
  RunningPipeline(const RunningPipeline&) = delete;
  RunningPipeline& operator=(const RunningPipeline&) = delete;

  const graph::Pipeline& definition() const { return definition_; }
  const std::string& name() const { return name_; }  ///< any thread; the same through reloads

  void start();

  /// Ends the sources; what they have emitted goes on through the stages. Then done() becomes true, unless an outside is away.
  void drain(End end);

  /// No longer waits for the outside.
  void give_up();

  bool done() const;
  bool settled() const;                        ///< every stage has tried to connect at least once
  std::optional<std::string> failure() const;  ///< why a stage refused, with its place and name

  /// Swaps in another version: only stages whose options, place on a thread or wiring have changed stand still; the others keep
  /// their state and their connections. What is queued for a stage waits for its successor. New stages that can be (see
  /// ConnectsBeside) are connected first; if one refuses, its error is returned and nothing has changed. Others connect on
  /// their threads: watch settled() and failure(), then keep() the new version or reload() the old one, which then finds the
  /// stages that were set aside with all their state.
  Result<void> reload(graph::Pipeline next);

  /// The version that runs has proven itself: lets go what it has replaced.
  void keep();

  std::vector<StageView> views() const;

  /// Runs `task` on a stage's own thread; false if there is no such stage.
  bool post(const std::string& stage, std::function<void(AnyStage&)> task);

 private:
  struct Slot {
    graph::Stage definition;
    std::unique_ptr<StageRunner> runner;
    std::string worker;
    bool beside = false;    ///< is a ConnectsBeside
    bool replaced = false;  ///< by the version that is being swapped in
  };
  struct Made {
    AnyStage stage;
    std::shared_ptr<StageHost> host;
    bool beside = false;
    bool connected = false;
  };
  struct SetAside {
    std::unique_ptr<StageRunner> runner;
    StageShape shape;
  };
  struct MadeLink {
    std::unique_ptr<link::Link> link;
    LinkShape shape;
    bool leftover = false;  ///< of a former wiring: it has no sender any more, and ends with what is in it
  };
  using LinkKey = std::pair<std::string, std::string>;  ///< sender's id, reader's id

  Made make(const graph::Pipeline& pipeline, std::size_t index);
  static Result<void> try_ahead(Made& made);
  void mark_replaced(const graph::Pipeline& next);
  Result<std::map<std::string, Made>> prepare(const graph::Pipeline& next);
  void build(graph::Pipeline next, std::map<std::string, Slot> former, std::map<std::string, Made> prepared);
  void begin(Slot& slot, std::size_t index, Slot* former, std::map<std::string, Made>& prepared);
  void set_aside(Slot& slot, StageShape shape);
  bool waits_aside(const graph::Pipeline& pipeline, std::size_t index) const;
  void link();
  std::unique_ptr<link::Link> make_link(link::Link::Ends ends, const std::string& sender, const graph::Stage& reader);
  void let_go(const LinkKey& key, MadeLink gone);
  void find_leftovers();
  void add_leftover(const std::string& sender, const Slot& reader, std::deque<link::Envelope> waiting);
  const Slot* reader_named(const std::string& id) const;
  std::filesystem::path spool_folder(const std::string& sender, const std::string& reader) const;
  std::unique_ptr<link::Spool> spool_of(const std::string& sender, const graph::Stage& reader);
  void wire(const std::string& worker);
  void set_recorder();
  void end_replaced(StageRunner& runner, Time give_up);
  void count_removed(const StageRunner& runner);
  std::uint64_t count_lost();
  std::uint64_t unfinished() const;

  const std::string name_;
  graph::Pipeline definition_;
  std::shared_ptr<Services> services_;
  std::function<void()> on_change_;
  std::unique_ptr<Recorder> recorder_;  ///< outlives the sources, which fill it; changes while they stand still

  mutable std::mutex mutex_;  ///< of what follows, for views() and post()
  std::map<std::string, std::unique_ptr<Worker>> workers_;
  std::map<LinkKey, MadeLink> links_;
  std::vector<Slot> slots_;
  std::map<std::string, SetAside> set_aside_;  ///< by stage: replaced by a version that has not proven itself
  std::map<std::string, std::shared_ptr<StageFigures>> figures_;  ///< by stage; outlive a swap, so that counters only grow
};

}  // namespace millrace::supervise
