#pragma once

#include <string_view>

namespace millrace::signalr {

/// One value as each hub protocol writes it. Every record is encoded once, on the pipeline's thread, whoever may read it.
struct Encoded {
  std::string_view json;
  std::string_view messagepack;
};

}  // namespace millrace::signalr
