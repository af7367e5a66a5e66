#include <unistd.h>

#include <optional>

#include "plugins/console/open_file.h"
#include "plugins/console/pipe.h"
#include "runner/config/plugin.h"
#include "runner/stage/json.h"

namespace millrace {
namespace {

/// Writes records to standard output, or to what stands under a path, one JSON object a line.
class Console final : public Sink {
 public:
  struct Config {
    config::Path path;
    bool envelope = false;

    static void describe(config::Fields<Config>& f) {
      f.field("path", &Config::path)
          .doc(
              "Where the lines go instead of standard output: a terminal, a named pipe, `/dev/stderr`, or a file, which is "
              "made or "
              "added to.");
      f.field("envelope", &Config::envelope).doc("Puts `device`, `time`, `kind` and `meta` around the record's fields.");
    }
  };

  Console(Config config, Context context) : config_(std::move(config)), context_(std::move(context)) {}

  Result<void> connect() override {
    if (config_.path.path.empty()) {
      output_ = console::Pipe(STDOUT_FILENO, "standard output");
      return {};
    }
    auto opened = console::OpenFile::open(config_.path.path);
    if (!opened) return opened.error();
    file_ = std::move(*opened);
    output_ = console::Pipe(file_.descriptor(), config_.path.path.string());
    return {};
  }

  Result<void> write(const Batch& batch) override {
    lines_.clear();
    for (const Record& record : batch.records) {
      if (config_.envelope) {
        append_json_record(lines_, record, true);
      } else {
        append_json(lines_, record.fields.view());
      }
      lines_ += '\n';
    }
    return output_->write(lines_, context_.stop_token());
  }

 private:
  Config config_;
  Context context_;
  console::OpenFile file_;
  std::optional<console::Pipe> output_;
  std::string lines_;
};

}  // namespace

Plugin console_plugin() {
  Plugin plugin = config::define_plugin<Console>(
      "console", "Writes records to standard output, or a terminal or pipe, one JSON object a line.");
  plugin.threading = Threading::own;  // a pipe whose reader does not read makes it wait
  return plugin;
}

}  // namespace millrace
