#pragma once

#include "runner/config/fields.h"
#include "runner/link/socket.h"

namespace millrace::link {

/// The part of both ends' checks that is about keys: `secret` and `peer` come together, and are keys. Never shows one.
template <class Config>
void check_keys(const Config& c, config::CheckReport<Config>& report) {
  if (c.secret.empty() != c.peer.empty())
    return report.wrong("address", "keys come in twos: 'curve' needs 'secret' and the public key of the other end");
  if (c.secret.empty()) return;
  if (auto problem = key_problem(c.secret.text)) report.wrong("secret", "'secret': " + *problem);
  if (auto problem = key_problem(c.peer)) report.wrong("peer", *problem);
}

}  // namespace millrace::link
