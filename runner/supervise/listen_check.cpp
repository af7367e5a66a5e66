#include "runner/supervise/listen_check.h"

#include "runner/http/address.h"
#include "runner/http/listen_problems.h"

namespace millrace::supervise {
namespace {

std::vector<graph::ListenProblem> problems_of(const graph::Listen& listen, const std::string& address) {
  std::vector<graph::ListenProblem> problems;
  http::ListenOptions options;
  options.insecure = listen.insecure;
  if (listen.tls) options.tls = http::Tls{listen.tls->cert.path, listen.tls->key.path};
  auto parsed = http::parse_address(address);
  if (parsed) {
    options.address = *parsed;
    if (auto exposed = http::exposure_problem(options)) problems.push_back({"address", "", std::move(*exposed)});
  } else {
    problems.push_back({"address", "", parsed.error().what});
  }
  if (!options.tls) return problems;
  for (http::TlsProblem& problem : http::tls_problems(*options.tls))
    problems.push_back({"tls", problem.file == http::TlsProblem::File::cert ? "cert" : "key", std::move(problem.what)});
  return problems;
}

}  // namespace

graph::ListenCheck listen_check(std::optional<std::string> override_address) {
  return [override_address = std::move(override_address)](const graph::Listen& listen) {
    return problems_of(listen, override_address.value_or(listen.address));
  };
}

}  // namespace millrace::supervise
