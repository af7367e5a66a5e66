#include "runner/link/end_options.h"

#include "runner/link/socket.h"

namespace millrace::link {
namespace {

/// `secret` and `peer` come together, and are keys. Never shows one.
void check_keys(const EndOptions& c, config::CheckReport<EndOptions>& report) {
  if (c.secret.empty() != c.peer.empty())
    return report.wrong("address", "keys come in twos: 'curve' needs 'secret' and the public key of the other end");
  if (c.secret.empty()) return;
  if (auto problem = key_problem(c.secret.text)) report.wrong("secret", "'secret': " + *problem);
  if (auto problem = key_problem(c.peer)) report.wrong("peer", *problem);
}

}  // namespace

void EndOptions::describe(config::Fields<EndOptions>& f) {
  f.field("address", &EndOptions::address)
      .doc("Where the output is offered to another process, or read by it: ipc://PATH or tcp://HOST:PORT.")
      .required();
  f.field("secret", &EndOptions::secret).doc("The secret CURVE key of this end.");
  f.field("peer", &EndOptions::peer).doc("The public CURVE key of the other end.");
  f.check([](const EndOptions& c, config::CheckReport<EndOptions>& report) {
    if (auto problem = address_problem(c.address, !c.secret.empty())) report.wrong("address", *problem);
    check_keys(c, report);
  });
}

}  // namespace millrace::link
