#include <unistd.h>

#include "plugins/console/pipe.h"
#include "runner/config/plugin.h"
#include "runner/stage/json.h"

namespace millrace {
namespace {

/// Writes records to standard output, one JSON object a line.
class Console final : public Sink {
 public:
  struct Config {
    bool envelope = false;

    static void describe(config::Fields<Config>& f) {
      f.field("envelope", &Config::envelope).doc("Puts `device`, `time`, `kind` and `meta` around the record's fields.");
    }
  };

  Console(Config config, Context context) : config_(config), context_(std::move(context)) {}

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
    return output_.write(lines_, context_.stop_token());
  }

 private:
  Config config_;
  Context context_;
  console::Pipe output_{STDOUT_FILENO};
  std::string lines_;
};

}  // namespace

Plugin console_plugin() {
  Plugin plugin = config::define_plugin<Console>("console", "Writes records to standard output, one JSON object a line.");
  plugin.threading = Threading::own;  // a pipe whose reader does not read makes it wait
  return plugin;
}

}  // namespace millrace
