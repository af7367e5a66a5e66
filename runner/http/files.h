#pragma once

#include <span>
#include <string>
#include <string_view>

#include "runner/http/routes.h"

namespace millrace::http {

/// One file of the web client, embedded in the executable. Everything lasts as long as the program.
struct StaticFile {
  std::string_view path;          ///< "/app.js"; "/index.html" also answers "/"
  std::string_view content_type;  ///< "text/javascript; charset=utf-8"
  std::string_view bytes;
  std::string_view gzip = {};  ///< the same, compressed, for clients that take it
  bool immutable = false;      ///< its name changes with its content, so that clients may keep it for good
};

/// A handler for add_prefix("/", ...) that serves the files: GET and HEAD, ETag and 304, gzip where the client takes it, a
/// strict Content-Security-Policy. Other paths are 404. The span must outlive the listener.
Handler serve_files(std::span<const StaticFile> files);

}  // namespace millrace::http
