#include "runner/mqtt/tls_problem.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "runner/mqtt/tls_files.h"

namespace millrace::mqtt {
namespace {

using Clock = std::chrono::steady_clock;
using SslContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;

struct Patience {
  Clock::time_point until;
  const std::stop_token& stop;

  /// False when there is no more.
  bool wait(int descriptor, short events) const {
    while (Clock::now() < until && !stop.stop_requested()) {
      pollfd polled{descriptor, events, 0};
      if (::poll(&polled, 1, 100) > 0) return true;
    }
    return false;
  }
};

/// A connected socket, or -1 with a reason.
struct Socket {
  int descriptor = -1;
  std::string why;

  Socket(const std::string& host, const std::string& port, const Patience& patience) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
      why = fmt::format("the name '{}' is not known: {}", host, ::gai_strerror(error));
      return;
    }
    for (addrinfo* at = found; at && descriptor < 0; at = at->ai_next) connect(*at, patience);
    ::freeaddrinfo(found);
  }
  ~Socket() {
    if (descriptor >= 0) ::close(descriptor);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  void connect(const addrinfo& at, const Patience& patience) {
    int made = ::socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0) return;
    int error = ::connect(made, at.ai_addr, at.ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof error;
      error = ETIMEDOUT;
      if (patience.wait(made, POLLOUT)) ::getsockopt(made, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error == 0) {
      descriptor = made;
      return;
    }
    why = fmt::format("nobody answers there: {}", std::strerror(error));
    ::close(made);
  }
};

std::string text_of(X509_NAME* name) {
  char text[256];
  return X509_NAME_oneline(name, text, sizeof text) ? text : "?";
}

std::string text_of(const ASN1_TIME* time) {
  tm broken{};
  if (ASN1_TIME_to_tm(time, &broken) != 1) return "?";
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &broken)};
}

/// Whom a certificate is for, as its alternative names say.
std::string names_of(X509* certificate) {
  std::string names;
  auto* all = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all, i);
    if (name->type != GEN_DNS) continue;
    const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", text);
  }
  GENERAL_NAMES_free(all);
  return names.empty() ? "'" + text_of(X509_get_subject_name(certificate)) + "'" : names;
}

std::string certificate_problem(SSL* ssl, const std::string& host) {
  long result = SSL_get_verify_result(ssl);
  std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl), X509_free);
  if (result == X509_V_OK || !certificate) return {};
  switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return fmt::format("its certificate is for {}, not for '{}'", names_of(certificate.get()), host);
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return fmt::format("its certificate expired on {}", text_of(X509_get0_notAfter(certificate.get())));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("its certificate is valid from {} only; is the clock right?",
                         text_of(X509_get0_notBefore(certificate.get())));
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return fmt::format("its certificate comes from '{}', which is not among the authorities in tls.ca",
                         text_of(X509_get_issuer_name(certificate.get())));
    default: return fmt::format("its certificate is not accepted: {}", X509_verify_cert_error_string(result));
  }
}

/// Goes on with the handshake until it is done (1) or has failed.
int shake_hands(SSL* ssl, int descriptor, const Patience& patience) {
  for (;;) {
    int done = SSL_connect(ssl);
    if (done == 1) return 1;
    int wanted = SSL_get_error(ssl, done);
    if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) return done;
    if (!patience.wait(descriptor, wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT)) return done;
  }
}

bool is_number(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

}  // namespace

std::string tls_problem(const std::string& address, const Tls& tls, Duration patience, const std::stop_token& stop) {
  auto url = boost::urls::parse_uri(address);
  if (!url) return {};
  std::string host(url->host_address()), port(std::string_view(url->port()));
  Patience left{Clock::now() + patience, stop};
  SslContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!context) return {};
  ERR_clear_error();
  if (auto problems = load_tls_files(context.get(), tls); !problems.empty()) return problems.front().what;
  Socket socket(host, port, left);
  if (socket.descriptor < 0) return socket.why;
  Ssl ssl(SSL_new(context.get()), SSL_free);
  if (!ssl || SSL_set_fd(ssl.get(), socket.descriptor) != 1) return {};
  // The handshake is to go on, so that there is a certificate to speak of. Nothing is said over this connection.
  SSL_set_verify(ssl.get(), SSL_VERIFY_NONE, nullptr);
  if (is_number(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str());
  } else {
    SSL_set1_host(ssl.get(), host.c_str());
    SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  }
  bool done = shake_hands(ssl.get(), socket.descriptor, left) == 1;
  if (std::string problem = certificate_problem(ssl.get(), host); !problem.empty()) return problem;
  if (done) return {};
  if (Clock::now() >= left.until) return "it does not answer with TLS";
  unsigned long error = ERR_peek_error();
  const char* reason = error != 0 ? ERR_reason_error_string(error) : nullptr;
  return fmt::format("no TLS there: {}", reason ? reason : "it hung up");
}

std::string network_problem(const std::string& address, Duration patience, const std::stop_token& stop) {
  auto url = boost::urls::parse_uri(address);
  if (!url) return {};
  return Socket(std::string(url->host_address()), std::string(std::string_view(url->port())), {Clock::now() + patience, stop})
      .why;
}

}  // namespace millrace::mqtt
