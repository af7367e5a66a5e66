#include "runner/config/plugin.h"

#include <fmt/format.h>

#include <cstring>

#include "plugins/file_source/csv.h"
#include "plugins/file_source/growing_file.h"
#include "runner/config/event_time.h"
#include "runner/stage/json.h"
#include "runner/stage/preflight.h"

namespace millrace {
namespace {

using file_source::CsvDecoder;
using file_source::GrowingFile;

enum class Format { by_name, json, csv };

/// Reads records from a file of JSON lines or CSV, once or as it grows. A batch is what one read of 64 KiB holds, or what there
/// is.
class FileSource final : public Source, public Preflight {
 public:
  struct Config {
    config::Path path;
    Format format = Format::by_name;
    bool follow = false;
    config::DeviceField device;
    config::EventTime time;
    config::Bytes longest_line{1U << 20U};

    static void describe(config::Fields<Config>& f);
  };

  FileSource(Config config, Context context)
      : config_(std::move(config)),
        context_(std::move(context)),
        untimed_(context_.counter("without_time")),
        csv_(config_.format == Format::csv || (config_.format == Format::by_name && config_.path.path.extension() == ".csv")),
        file_({config_.path.path, config_.follow, piece}),
        json_({.bytes = config_.longest_line.count}) {}

  Result<void> preflight() override {
    auto opened = GrowingFile({config_.path.path, config_.follow, piece}).open();
    return !opened && opened.error().kind == ErrorKind::invalid ? opened : Result<void>();
  }

  Result<void> connect() override { return file_.open(); }

  Result<Batch> poll() override {
    auto state = file_.read();
    if (!state) return state.error();
    if (std::string news = file_.news(); !news.empty()) context_.log(LogLevel::info, news);
    if (*state == GrowingFile::State::over) return finished();
    Batch batch;
    look_again_ = context_.now() + (*state == GrowingFile::State::idle ? pause : Duration::zero());
    if (*state == GrowingFile::State::data)
      if (auto decoded = decode(batch); !decoded) return decoded.error();
    complete(batch);
    return batch;
  }

  std::optional<Time> next_tick() const override { return look_again_; }

 private:
  static constexpr std::size_t piece = 64U << 10U;
  static constexpr Duration pause = 50ms;

  Result<void> decode(Batch& batch);
  Result<std::size_t> decode_csv(std::string_view text, Batch& batch);
  std::size_t decode_json(std::string_view text, Batch& batch);
  std::size_t skip_long_line(std::string_view text);
  void complete(Batch& batch);
  void reject(std::string_view line, std::uint64_t number, const Error& error);

  /// The number of the line that begins at `at` in `text`, counting on from the last one asked for.
  std::uint64_t line_number(std::string_view text, const char* at) {
    // memchr goes many bytes a step, where std::count goes one: half of what it costs to decode the line.
    for (const char* from = text.data() + counted_; from != at; ++from, ++line_) {
      from = static_cast<const char*>(std::memchr(from, '\n', static_cast<std::size_t>(at - from)));
      if (!from) break;
    }
    counted_ = static_cast<std::size_t>(at - text.data());
    return line_;
  }

  Config config_;
  Context context_;
  Counter& untimed_;
  bool csv_;
  GrowingFile file_;
  JsonDecoder json_;
  CsvDecoder rows_;
  std::uint64_t line_ = 1;
  std::size_t counted_ = 0;  ///< bytes of the text at hand that line_ is ahead by
  bool skipping_ = false;    ///< in the midst of a line that is too long
  Time look_again_{};
};

void FileSource::Config::describe(config::Fields<Config>& f) {
  f.field("path", &Config::path).required().doc("The file.");
  f.choice("format", &Config::format, {{"auto", Format::by_name}, {"json", Format::json}, {"csv", Format::csv}})
      .doc(
          "`json` is one object, or list of objects, a line; `csv` has a header row; `auto` takes .csv for CSV, all else for "
          "JSON.");
  f.field("follow", &Config::follow)
      .doc(
          "Goes on reading as the file grows, through truncation and rotation, and waits for a file that is not there yet. "
          "Without it the source ends with the file.");
  f.field("device", &Config::device).doc("Which field names the device.");
  f.field("time", &Config::time).doc("Which field says when it happened; without one, the time of reading.");
  f.field("longest_line", &Config::longest_line)
      .doc("A line, or a row of CSV, with more bytes than this is skipped as a bad one.")
      .min(config::Bytes{1024})
      .max(config::Bytes{64U << 20U});
}

Result<void> FileSource::decode(Batch& batch) {
  if (file_.at_start()) {
    line_ = 1;
    skipping_ = false;
    rows_.restart();
  }
  std::string_view text = file_.text();
  counted_ = 0;
  std::size_t done = 0;
  if (!skipping_ && csv_) {
    auto rows = decode_csv(text, batch);
    if (!rows) return rows.error();
    done = *rows;
  } else if (!skipping_) {
    done = decode_json(text, batch);
  }
  if (skipping_ || (done == 0 && text.size() >= config_.longest_line.count)) done = skip_long_line(text);
  line_number(text, text.data() + done);
  file_.consume(done);
  return {};
}

std::size_t FileSource::decode_json(std::string_view text, Batch& batch) {
  std::size_t size = file_.last() ? text.size() : text.rfind('\n') + 1;
  text = text.substr(0, size);
  (void)json_.decode_lines(
      text, batch, [&](std::string_view line, const Error& error) { reject(line, line_number(text, line.data()), error); });
  return size;
}

Result<std::size_t> FileSource::decode_csv(std::string_view text, Batch& batch) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  std::size_t mark = file_.at_start() && text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
  auto done = rows_.decode(text.substr(mark), file_.last(), batch, [&](std::string_view row, const Error& error) {
    reject(row, line_number(text, row.data()), error);
  });
  if (!done) return invalid(fmt::format("{}: {}", config_.path.path.string(), done.error().what));
  return *done == 0 ? 0 : *done + mark;
}

/// Passes over what there is of a line that is too long to be kept; the first time, says so.
std::size_t FileSource::skip_long_line(std::string_view text) {
  if (!skipping_) {
    reject(text.substr(0, 1024), line_,
           rejected(fmt::format("longer than `longest_line`, {}: skipped", config::show_bytes(config_.longest_line))));
  }
  std::size_t feed = text.find('\n');
  skipping_ = feed == std::string_view::npos && !file_.last();
  return feed == std::string_view::npos ? text.size() : feed + 1;
}

void FileSource::complete(Batch& batch) {
  Time now = context_.now();
  for (Record& record : batch.records) {
    record.arrival = record.time = now;
    if (!config_.device.field.empty()) record.device = config_.device.read(record, batch.arena());
    if (config_.time.field.empty()) continue;
    if (auto time = config_.time.read(record)) {
      record.time = *time;
    } else {
      untimed_.add();
    }
  }
}

void FileSource::reject(std::string_view line, std::uint64_t number, const Error& error) {
  constexpr std::size_t shown = 16U << 10U;
  if (line.ends_with('\n')) line.remove_suffix(1);
  Batch batch;
  Record& record = batch.append();
  record.arrival = record.time = context_.now();
  record.fields.push(batch.arena(), "line", Value::string(line.substr(0, shown)));
  std::string path = config_.path.path.string();
  record.meta.push(batch.arena(), "path", Value::string(path));
  context_.reject(record, rejected(fmt::format("{}:{}: {}", path, number, error.what)));
}

}  // namespace

Plugin file_source_plugin() {
  Plugin plugin = config::define_plugin<FileSource>("file_source", "Reads records from a file of JSON lines or CSV.");
  plugin.threading = Threading::own;
  return plugin;
}

}  // namespace millrace
