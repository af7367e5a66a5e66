#pragma once

// Internal to the room; shows Asio and OpenSSL.

#include <openssl/ssl.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "runner/http/socket_stream.h"
#include "runner/stage/error.h"

namespace millrace::http {

/// A server's certificate and rules: TLS 1.2 and 1.3, AEAD ciphers with forward secrecy only.
class TlsContext {
 public:
  /// With the rules, still without a certificate.
  TlsContext();

  /// `invalid` if a file cannot be read or the key is not the certificate's.
  static Result<std::shared_ptr<TlsContext>> load(const std::filesystem::path& cert, const std::filesystem::path& key);

  Result<void> use_certificate(const std::filesystem::path& cert);
  Result<void> use_key(const std::filesystem::path& key);

  SSL_CTX* get() const { return context_.get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::unique_ptr<SSL_CTX, Free> context_;
};

/// A connection under TLS. The handshake happens within the first reads.
///
/// What OpenSSL has made a record of and the socket does not take, it wants to be given again, just the same, while whoever
/// writes here may have something else to say by then. So the piece that is under way is kept, counts as written, and goes out
/// by itself once the socket takes it: at most one record's, 16 KiB.
class TlsStream final : public SocketStream {
 public:
  TlsStream(std::shared_ptr<TlsContext> tls, std::shared_ptr<AsioLoop> loop, Socket socket, std::shared_ptr<Counter> open);

  Io read(std::span<char> into) override;
  Io write(std::span<const std::string_view> pieces) override;
  void when_readable(std::function<void()> ready) override;
  void when_writable(std::function<void()> ready) override;
  void end_writing() override;

 private:
  Io outcome(int returned, Socket::wait_type& next);
  Io write_record(std::string_view text);
  bool write_kept();
  void wait_for_kept();
  void shut_down();

  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  std::shared_ptr<TlsContext> tls_;
  std::unique_ptr<SSL, Free> ssl_;
  Socket::wait_type read_waits_for_ = Socket::wait_read;
  Socket::wait_type write_waits_for_ = Socket::wait_write;
  std::string kept_;         ///< is under way
  unsigned times_kept_ = 0;  ///< who waits for an earlier piece need not
  bool ending_ = false;      ///< after what is kept
  bool failed_ = false;
};

}  // namespace millrace::http
