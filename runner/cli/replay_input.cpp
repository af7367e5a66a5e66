#include "runner/cli/replay_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "runner/cli/moment.h"
#include "runner/link/wire.h"
#include "runner/store/data_folder.h"

namespace millrace::cli {
namespace {

/// As long as a `file_source` can be told to take.
constexpr std::size_t longest_line = 64U << 20U;

class FileInput final : public ReplayInput {
 public:
  FileInput(const std::filesystem::path& file, const graph::Loader& loader)
      : name_(file.string()), in_(file, std::ios::binary), reader_(ScriptReader::of_file(loader, file.parent_path())) {}

  bool good() const { return in_.good(); }

  Result<std::optional<ScriptItem>> next() override {
    for (;;) {
      ++number_;
      auto read = read_line();
      if (!read) return invalid(place() + read.error().what);
      if (!*read) return std::optional<ScriptItem>();
      if (line_.find_first_not_of(" \t\r") == std::string::npos) continue;
      auto item = reader_.line(line_);
      if (!item) return invalid(place() + item.error().what);
      return std::optional(std::move(*item));
    }
  }

  std::string place() const override { return fmt::format("{}:{}: ", name_, number_); }
  bool ends() const override { return true; }

 private:
  /// False at the end. Reads no further than a line may be long: a file such as /dev/zero never comes to a line's end.
  Result<bool> read_line() {
    line_.clear();
    for (char piece[16U << 10U];;) {
      in_.getline(piece, sizeof piece);
      auto got = static_cast<std::size_t>(in_.gcount());
      if (in_.bad()) return invalid("cannot read on");
      const bool whole = in_.good();
      line_.append(piece, whole ? got - 1 : got);
      if (line_.size() > longest_line) return invalid("a line of more than 64 MiB: this is no file of inputs");
      if (whole) return true;
      if (in_.eof()) return !line_.empty();
      in_.clear();  // the piece is full
    }
  }

  std::string name_;
  std::ifstream in_;
  ScriptReader reader_;
  std::string line_;
  std::size_t number_ = 0;
};

class RecordedInput final : public ReplayInput {
 public:
  RecordedInput(std::unique_ptr<store::RecordingReader> reader, Time end, std::vector<std::string> sources)
      : reader_(std::move(reader)), end_(end), sources_(std::move(sources)) {}

  Result<std::optional<ScriptItem>> next() override {
    for (;;) {
      auto row = reader_->next();
      if (!row) return row.error();
      if (!*row) return last();
      const Time before = std::exchange(at_, std::max(at_, (*row)->at));
      if ((*row)->source.empty()) {
        if (!std::exchange(begun_, true)) continue;
        return std::optional(ScriptItem{before, ScriptItem::Restart{before, at_}});
      }
      begun_ = true;
      auto batch = link::wire::decode_batch((*row)->data);
      if (!batch) return invalid(fmt::format("the recording, at {}: {}", shown(at_), batch.error().what));
      bool known = std::find(sources_.begin(), sources_.end(), (*row)->source) != sources_.end();
      return std::optional(ScriptItem{at_, ScriptItem::Records{std::move(*batch), known ? (*row)->source : std::string()}});
    }
  }

  std::string place() const override { return fmt::format("the recording, at {}: ", shown(at_)); }
  bool ends() const override { return false; }

 private:
  std::optional<ScriptItem> last() {
    if (std::exchange(over_, true)) return std::nullopt;
    return ScriptItem{std::max(at_, end_), ScriptItem::Tick{}};
  }

  std::unique_ptr<store::RecordingReader> reader_;
  Time end_;
  std::vector<std::string> sources_;
  Time at_{};
  bool begun_ = false;  ///< something has been seen
  bool over_ = false;
};

/// An error if batches could go to more than one place.
Result<void> check_sources(const std::vector<std::string>& recorded, const std::vector<std::string>& present) {
  for (const std::string& source : recorded) {
    if (present.size() == 1 || std::find(present.begin(), present.end(), source) != present.end()) continue;
    return invalid(fmt::format("the recording has a source '{}', which the pipeline lacks{}", source,
                               config::did_you_mean(source, present)));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<ReplayInput>> file_input(const std::filesystem::path& file, const graph::Loader& loader) {
  auto input = std::make_unique<FileInput>(file, loader);
  std::error_code error;
  if (!input->good() || std::filesystem::is_directory(file, error))
    return invalid(fmt::format("cannot read the recording '{}'", file.string()));
  return std::unique_ptr<ReplayInput>(std::move(input));
}

Result<std::unique_ptr<ReplayInput>> recorded_input(RecordedStretch& stretch, const graph::Pipeline& into) {
  auto reader = store::RecordingReader::open(stretch.data, stretch.pipeline);
  if (!reader) return reader.error();
  auto reach = (*reader)->reach();
  if (!reach) return reach.error();
  if (!*reach) return invalid(fmt::format("the recording of '{}' is empty", stretch.pipeline));
  const Time from = stretch.from.value_or((*reach)->first);
  const Time to = stretch.to.value_or((*reach)->second + Duration(1));
  if (from >= to || from > (*reach)->second || to <= (*reach)->first)
    return invalid(fmt::format("nothing is recorded from {} to {}: the recording of '{}' reaches from {} to {}", shown(from),
                               shown(to), stretch.pipeline, shown((*reach)->first), shown((*reach)->second)));
  auto recorded = (*reader)->sources();
  if (!recorded) return recorded.error();
  std::vector<std::string> present;
  for (const graph::Stage& stage : into.stages)
    if (stage.plugin->role == Role::source) present.push_back(stage.id);
  if (auto known = check_sources(*recorded, present); !known) return known.error();
  const Duration known = std::max(Duration::zero(), from - (*reach)->first);
  if (auto sought = (*reader)->seek(from - std::min(known, stretch.warm_up), to); !sought) return sought.error();
  if (!stretch.end) {
    const bool running = store::DataFolder::holder(stretch.data).has_value();
    const Time reached = running ? std::max(stretch.now, (*reach)->second) : (*reach)->second;
    stretch.end = stretch.to ? std::min(*stretch.to, std::max(stretch.now, (*reach)->second)) : reached;
  }
  stretch.from = from;
  stretch.to = to;
  return std::unique_ptr<ReplayInput>(std::make_unique<RecordedInput>(std::move(*reader), *stretch.end, std::move(present)));
}

}  // namespace millrace::cli
