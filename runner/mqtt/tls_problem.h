#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "runner/mqtt/broker.h"

namespace millrace::mqtt {

/// Finds out why TLS with a broker fails, by a handshake of its own: Paho says that it failed and no more. "its certificate is
/// not for this host: ..."; empty if the handshake is well. `address` is Paho's. Waits for the broker, up to `patience` or
/// until stopped.
std::string tls_problem(const std::string& address, const Tls& tls, Duration patience, const std::stop_token& stop);

/// Likewise of a broker without TLS: "the name 'borker' is not known: ...", "nobody answers there: Connection refused"; empty
/// if somebody does.
std::string network_problem(const std::string& address, Duration patience, const std::stop_token& stop);

}  // namespace millrace::mqtt
