#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugins/push/message.h"
#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::push {

/// One HTTP request that carries a message.
struct Request {
  std::string id;  ///< of the delivery
  std::string url;
  std::vector<std::string> headers;
  std::string body;
  bool loopback = false;  ///< then no proxy is asked
};

/// Somebody who is told: a channel and its address. A URL may hold secrets: it appears in requests only.
class Target {
 public:
  /// Channels: `http://`, `https://` (a webhook), `ntfy://HOST[:PORT]/TOPIC`, `ntfys://`. USER:PASSWORD@ before the host is
  /// sent as basic authentication; for ntfy, TOKEN@ as an access token. An error never repeats the text.
  static Result<Target> parse(std::string_view text);

  const std::string& display() const { return display_; }  ///< channel and host
  const std::string& key() const { return key_; }          ///< derives from the text, tells nothing of it

  /// What a receiver wrote, if it does not give away what the URL holds; else nothing.
  std::string_view harmless(std::string_view answer) const;

  /// `secret`, unless empty, signs webhooks: `X-Millrace-Signature: t=SECONDS,v1=HEX`, the HMAC-SHA-256 of "SECONDS.BODY".
  Request request(const Message& message, const std::string& id, Time now, std::string_view secret) const;

 private:
  enum class Channel { webhook, ntfy };

  void webhook(const Message& message, Time now, std::string_view secret, Request& request) const;
  void ntfy(const Message& message, Request& request) const;

  Channel channel_ = Channel::webhook;
  std::string url_;                        ///< without user and password
  std::vector<std::string> confidential_;  ///< parts of the URL behind the host
  std::string authorization_;
  std::string topic_;
  std::string display_;
  std::string key_;
  bool loopback_ = false;
};

}  // namespace millrace::push
