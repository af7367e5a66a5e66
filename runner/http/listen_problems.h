#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/http/listener.h"

namespace millrace::http {

/// An address that other machines reach must be protected by TLS or declared insecure; what is wrong if it is neither.
std::optional<std::string> exposure_problem(const ListenOptions& options);

/// What is wrong with a certificate and its key, found by reading the files.
struct TlsProblem {
  enum class File { cert, key } file = File::cert;
  std::string what;
};
std::vector<TlsProblem> tls_problems(const Tls& tls);

}  // namespace millrace::http
