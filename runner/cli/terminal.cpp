#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "runner/cli/commands.h"
#include "runner/stage/printable.h"

namespace millrace::cli {

namespace {

/// Devices and peers choose parts of what is logged: none may look like an entry of its own, so further lines are indented.
std::string one_entry(std::string_view told) {
  std::string text = printable_lines(told);
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', end + 1))
    text.insert(end + 1, "    ");
  return text;
}

}  // namespace

Log terminal_log() {
  const char* no_color = std::getenv("NO_COLOR");
  auto mode = no_color && *no_color ? spdlog::color_mode::never : spdlog::color_mode::automatic;
  auto logger = std::make_shared<spdlog::logger>("millrace", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(mode));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-5l%$ %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::info);
  logger->flush_on(spdlog::level::info);
  return [logger](LogLevel level, std::string_view told) {
    const std::string text = one_entry(told);
    switch (level) {
      case LogLevel::debug: return logger->debug(text);
      case LogLevel::info: return logger->info(text);
      case LogLevel::warning: return logger->warn(text);
      case LogLevel::error: return logger->error(text);
    }
  };
}

}  // namespace millrace::cli
