#include "runner/config/plugin.h"

#include <fmt/format.h>

#include "plugins/file_sink/lines_file.h"
#include "runner/stage/begun_files.h"
#include "runner/stage/json.h"
#include "runner/stage/preflight.h"

namespace millrace {
namespace {

/// Writes records to a file, one JSON object a line, each batch in one write. A batch is settled when that write has returned.
class FileSink final : public Sink, public Preflight {
 public:
  struct Config {
    config::Path path;
    bool append = true;
    bool envelope = false;
    bool sync = false;

    static void describe(config::Fields<Config>& f) {
      f.field("path", &Config::path).required().doc("The file; its folder must exist.");
      f.field("append", &Config::append)
          .doc(
              "Writes behind what the file holds. `false` empties it at every start of Millrace, with whatever an earlier run "
              "settled; a reload leaves a file that this run has begun.");
      f.field("envelope", &Config::envelope).doc("Puts `device`, `time`, `kind` and `meta` around the record's fields.");
      f.choice("sync", &Config::sync, {{"os", false}, {"always", true}})
          .doc(
              "`os` hands the data to the operating system, which a kill of the process cannot undo; `always` also waits for "
              "the disk at every batch, against a power failure.");
    }
  };

  FileSink(const Config& config, Context context)
      : context_(std::move(context)),
        path_(config.path.path),
        envelope_(config.envelope),
        file_({config.path.path, config.append, config.sync}) {}

  Result<void> preflight() override { return file_.preflight(); }

  Result<void> connect() override {
    auto* begun = context_.service<BegunFiles>();
    if (begun && begun->contains(path_)) file_.keep_contents();
    auto opened = file_.open();
    if (opened && begun) begun->add(path_);
    if (opened && file_.cut_off() > 0)
      context_.log(LogLevel::warning,
                   fmt::format("cut off a torn last line of {} bytes; its batch comes again", file_.cut_off()));
    return opened;
  }

  Result<void> write(const Batch& batch) override {
    lines_.clear();
    for (const Record& record : batch.records) {
      if (envelope_) {
        append_json_record(lines_, record, true);
      } else {
        append_json(lines_, record.fields.view());
      }
      lines_ += '\n';
    }
    return file_.write(lines_);
  }

 private:
  Context context_;
  std::filesystem::path path_;
  bool envelope_;
  file_sink::LinesFile file_;
  std::string lines_;
};

}  // namespace

Plugin file_sink_plugin() {
  Plugin plugin = config::define_plugin<FileSink>("file_sink", "Writes records to a file, one JSON object a line.");
  plugin.threading = Threading::own;
  return plugin;
}

}  // namespace millrace
