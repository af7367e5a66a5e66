#include "runner/mqtt/tls_files.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "runner/config/text_file.h"

namespace millrace::mqtt {
namespace {

/// A key behind a pass phrase would have OpenSSL ask for it on the terminal.
int no_pass_phrase(char*, int, int, void*) { return -1; }

}  // namespace

std::vector<NeedsFiles::Problem> load_tls_files(SSL_CTX* context, const Tls& tls) {
  std::vector<NeedsFiles::Problem> problems;
  auto wrong = [&](std::string_view option, std::string what) {
    problems.push_back({"tls", option, fmt::format("tls.{} {}", option, what)});
  };
  auto well = [&](std::string_view option) {
    return std::none_of(problems.begin(), problems.end(), [&](const auto& problem) { return problem.within == option; });
  };
  const std::string ca = tls.ca.path.string(), cert = tls.cert.path.string(), key = tls.key.path.string();
  for (const auto& [option, file] : {std::pair{"ca", ca}, {"cert", cert}, {"key", key}}) {
    if (file.empty()) continue;
    if (auto readable = config::readable_file(file); !readable)
      wrong(option, fmt::format("'{}' cannot be read: {}", file, readable.error().what));
  }
  SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
  if (ca.empty())
    SSL_CTX_set_default_verify_paths(context);
  else if (well("ca") && SSL_CTX_load_verify_locations(context, ca.c_str(), nullptr) != 1)
    wrong("ca", fmt::format("'{}' holds no certificates that can be read", ca));
  if (!cert.empty() && well("cert") && SSL_CTX_use_certificate_chain_file(context, cert.c_str()) != 1)
    wrong("cert", fmt::format("'{}' holds no certificate that can be read", cert));
  if (!cert.empty() && well("cert") && well("key")) {
    const std::string& holder = key.empty() ? cert : key;
    // A key of another kind than the certificate's is taken without a word; only the check sees it.
    const bool belongs =
        SSL_CTX_use_PrivateKey_file(context, holder.c_str(), SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(context) == 1;
    if (!belongs && key.empty())
      wrong("cert", fmt::format("'{}' holds no key of its own that can be read; name one in tls.key", cert));
    else if (!belongs)
      wrong("key", fmt::format("'{}' holds no key, readable without a pass phrase, that belongs to '{}'", key, cert));
  }
  ERR_clear_error();
  return problems;
}

std::vector<NeedsFiles::Problem> tls_file_problems(const Broker& broker) {
  const Tls& tls = broker.tls;
  if (tls.ca.path.empty() && tls.cert.path.empty() && tls.key.path.empty()) return {};
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  return context ? load_tls_files(context.get(), tls) : std::vector<NeedsFiles::Problem>();
}

}  // namespace millrace::mqtt
