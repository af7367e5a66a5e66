#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>

#include "runner/cli/commands.h"

namespace millrace::cli {

Log terminal_log() {
  const char* no_color = std::getenv("NO_COLOR");
  auto mode = no_color && *no_color ? spdlog::color_mode::never : spdlog::color_mode::automatic;
  auto logger = std::make_shared<spdlog::logger>("millrace", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(mode));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%-5l%$ %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::info);
  logger->flush_on(spdlog::level::info);
  return [logger](LogLevel level, std::string_view text) {
    switch (level) {
      case LogLevel::debug: return logger->debug(text);
      case LogLevel::info: return logger->info(text);
      case LogLevel::warning: return logger->warn(text);
      case LogLevel::error: return logger->error(text);
    }
  };
}

}  // namespace millrace::cli
