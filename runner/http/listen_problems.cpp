#include "runner/http/listen_problems.h"

#include <fmt/core.h>

#include "runner/http/tls.h"

namespace millrace::http {

std::optional<std::string> exposure_problem(const ListenOptions& options) {
  if (options.address.loopback() || options.tls || options.insecure) return std::nullopt;
  return fmt::format(
      "{} can be reached from other machines, and without TLS anybody on the way can read and change what passes; give "
      "`listen` a `tls: {{cert, key}}`, or `insecure: true` if the network is trusted, or listen on 127.0.0.1:{}",
      options.address.text(), options.address.port);
}

std::vector<TlsProblem> tls_problems(const Tls& tls) {
  std::vector<TlsProblem> problems;
  TlsContext cert, key;
  if (auto used = cert.use_certificate(tls.cert); !used) problems.push_back({TlsProblem::File::cert, used.error().what});
  if (auto used = key.use_key(tls.key); !used) problems.push_back({TlsProblem::File::key, used.error().what});
  if (!problems.empty()) return problems;
  if (auto both = TlsContext::load(tls.cert, tls.key); !both) problems.push_back({TlsProblem::File::key, both.error().what});
  return problems;
}

}  // namespace millrace::http
