#pragma once

#include <string_view>

#include "runner/cli/commands.h"

namespace millrace::cli {

/// Blocks the signals that end or reload an instance in this thread and all that it starts, and ignores SIGPIPE: a peer that
/// goes away is an error of the write, not the end of the process.
void prepare_signals();

/// Runs one pipeline given as text, without a data folder, until it ends or a signal asks to; returns the exit status. For
/// commands that are a pipeline themselves.
int run_text(std::string_view yaml, const Program& program);

}  // namespace millrace::cli
