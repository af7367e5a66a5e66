#include "runner/http/tls.h"

#include <fmt/core.h>
#include <openssl/err.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <new>
#include <utility>

#include "runner/config/text_file.h"

namespace millrace::http {
namespace {

std::string openssl_reason() {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason ? reason : "unknown reason";
}

/// OpenSSL would ask on the terminal. Notes that it wanted to.
int no_pass_phrase(char*, int, int, void* wanted) {
  if (wanted) *static_cast<bool*>(wanted) = true;
  return -1;
}

}  // namespace

TlsContext::TlsContext() : context_(SSL_CTX_new(TLS_server_method())) {
  if (!context_) throw std::bad_alloc();  // nothing else can fail here
  SSL_CTX* context = get();
  SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
  SSL_CTX_set_options(context,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

Result<void> TlsContext::use_certificate(const std::filesystem::path& cert) {
  ERR_clear_error();
  auto file = config::readable_file(cert);
  if (file && SSL_CTX_use_certificate_chain_file(get(), cert.c_str()) == 1) return {};
  return invalid(fmt::format("tls: cert '{}' is not a readable PEM certificate chain: {}", cert.string(),
                             file ? openssl_reason() : file.error().what));
}

Result<void> TlsContext::use_key(const std::filesystem::path& key) {
  ERR_clear_error();
  auto file = config::readable_file(key);
  bool sealed = false;
  SSL_CTX_set_default_passwd_cb_userdata(get(), &sealed);
  const bool used = file && SSL_CTX_use_PrivateKey_file(get(), key.c_str(), SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb_userdata(get(), nullptr);
  if (used) return {};
  const std::string why = sealed ? "it is behind a pass phrase" : file ? openssl_reason() : file.error().what;
  return invalid(fmt::format("tls: key '{}' is not a readable PEM key: {}", key.string(), why));
}

Result<std::shared_ptr<TlsContext>> TlsContext::load(const std::filesystem::path& cert, const std::filesystem::path& key) {
  auto tls = std::make_shared<TlsContext>();
  if (auto used = tls->use_certificate(cert); !used) return used.error();
  // A key of another kind than the certificate's is taken without a word; only the check sees it.
  auto used = tls->use_key(key);
  if (used && SSL_CTX_check_private_key(tls->get()) == 1) return tls;
  TlsContext alone;
  if (auto readable = alone.use_key(key); !readable) return readable.error();
  return invalid(fmt::format("tls: key '{}' is not the key of cert '{}'", key.string(), cert.string()));
}

TlsStream::TlsStream(std::shared_ptr<TlsContext> tls, std::shared_ptr<AsioLoop> loop, Socket socket,
                     std::shared_ptr<Counter> open)
    : SocketStream(std::move(loop), std::move(socket), std::move(open)), tls_(std::move(tls)), ssl_(SSL_new(tls_->get())) {
  failed_ = !ssl_ || SSL_set_fd(ssl_.get(), descriptor()) != 1;
  if (!failed_) SSL_set_accept_state(ssl_.get());
}

Io TlsStream::outcome(int returned, Socket::wait_type& next) {
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ: next = Socket::wait_read; return {};
    case SSL_ERROR_WANT_WRITE: next = Socket::wait_write; return {};
    case SSL_ERROR_ZERO_RETURN: return {.closed = true};
    default: failed_ = true; return {.closed = true};
  }
}

Io TlsStream::read(std::span<char> into) {
  if (!unread_.empty()) return read_unread(into);
  if (failed_ || !open()) return {.closed = true};
  ERR_clear_error();
  int bytes = SSL_read(ssl_.get(), into.data(), static_cast<int>(std::min<std::size_t>(into.size(), INT_MAX)));
  if (bytes > 0) return {.bytes = static_cast<std::size_t>(bytes)};
  return outcome(bytes, read_waits_for_);
}

Io TlsStream::write_record(std::string_view text) {
  ERR_clear_error();
  int bytes = SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
  if (bytes > 0) return {.bytes = static_cast<std::size_t>(bytes)};
  return outcome(bytes, write_waits_for_);
}

/// Whether nothing is kept any more.
bool TlsStream::write_kept() {
  while (!kept_.empty() && !failed_ && open()) {
    Io io = write_record(kept_);
    if (io.bytes == 0) break;
    kept_.erase(0, io.bytes);
  }
  if (!kept_.empty()) return false;
  kept_ = {};
  if (std::exchange(ending_, false)) shut_down();
  return true;
}

void TlsStream::wait_for_kept() {
  wait(write_waits_for_, [this, kept = times_kept_] {
    if (kept == times_kept_ && !write_kept() && !failed_ && open()) wait_for_kept();
  });
}

Io TlsStream::write(std::span<const std::string_view> pieces) {
  Io total;
  bool waits = !write_kept();
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      if (failed_ || !open()) return {.bytes = total.bytes, .closed = true};
      if (waits) return total;
      std::string_view record = piece.substr(0, SSL3_RT_MAX_PLAIN_LENGTH);
      Io io = write_record(record);
      if (io.bytes == 0 && !io.closed) {
        kept_ = record;
        ++times_kept_;
        wait_for_kept();
        waits = true;
        io.bytes = record.size();
      }
      total.bytes += io.bytes;
      piece.remove_prefix(io.bytes);
    }
  }
  return total;
}

void TlsStream::when_readable(std::function<void()> ready) {
  // What OpenSSL has already taken off the socket will not make the socket readable again.
  if (!unread_.empty() || (!failed_ && SSL_pending(ssl_.get()) > 0)) return wait(Socket::wait_write, std::move(ready));
  wait(read_waits_for_, std::move(ready));
  read_waits_for_ = Socket::wait_read;
}

void TlsStream::when_writable(std::function<void()> ready) {
  wait(write_waits_for_, std::move(ready));
  write_waits_for_ = Socket::wait_write;
}

void TlsStream::end_writing() {
  if (!write_kept() && !failed_ && open()) {
    ending_ = true;
  } else {
    shut_down();
  }
}

void TlsStream::shut_down() {
  if (!failed_ && open() && SSL_is_init_finished(ssl_.get())) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  SocketStream::end_writing();
}

}  // namespace millrace::http
