#pragma once

#include "runner/stage/plugin.h"

namespace millrace::link {

// The two ends of a link between processes (DESIGN of the wire: wire.h). Each end is a stage, so that the runner connects,
// backs off, settles and drains it like any other; each has a thread of its own for its socket. Nothing is lost when either
// side restarts: the publisher keeps a batch, and the Ack of what it came from, until the reader has settled it.

/// A sink that offers what it is given at `address` to one reading stage, of whatever process.
Plugin publisher_plugin();

/// A source that reads what a publisher offers at `address`.
Plugin subscriber_plugin();

}  // namespace millrace::link
