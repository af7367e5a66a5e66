#include "runner/config/plugin.h"

namespace millrace {
namespace {

/// Takes every record, counts it and lets it go.
class NullSink final : public Sink {
 public:
  struct Config {
    static void describe(config::Fields<Config>&) {}
  };

  NullSink(Config, Context context) : records_(context.counter("records")) {}

  Result<void> write(const Batch& batch) override {
    records_.add(batch.size());
    return {};
  }

 private:
  Counter& records_;
};

}  // namespace

Plugin null_sink_plugin() {
  return config::define_plugin<NullSink>("null_sink", "Takes every record and lets it go, counted.");
}

}  // namespace millrace
