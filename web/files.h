#pragma once

#include <span>

#include "runner/http/files.h"

namespace millrace::web {

/// The web client's files, embedded when the program was built: the page, its script and style, manifest and icons. They last
/// as long as the program.
std::span<const http::StaticFile> files();

}  // namespace millrace::web
