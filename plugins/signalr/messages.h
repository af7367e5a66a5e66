#pragma once

#include "plugins/signalr/publication.h"
#include "runner/stage/error.h"

namespace millrace::signalr {

/// What a client that follows everything and keeps up is sent for one publication, as records with the fields `target` and
/// `arguments`: telemetry of one target together, every event alone.
Result<Batch> messages_of(const Publication& publication);

}  // namespace millrace::signalr
