#pragma once

#include <string_view>

#include "runner/http/routes.h"

namespace millrace::signalr {

class Hub;

/// Answers one request of the data plane, as Azure SignalR Service's REST API has it (api-version 2022-06-01, and the paths of
/// version 1.0): sending to all, a group, a user, a connection; closing; who is there; who is in which group. `path` is what
/// follows `/api/hubs/{hub}` or, with `first_version`, `/api/v1/hubs/{hub}`.
///
/// Every request needs a bearer token: one of `millrace token` with the right `command`, or one that is signed with a key of
/// this server for this very URL.
///
/// Beyond Azure's, `acknowledge=SECONDS` (1 to 30) on a send answers only when it is known what became of the message, or at
/// that deadline, with `{"matched", "written", "confirmed", "dropped"}`, see Delivery.
void answer_rest(Hub& hub, const http::Request& request, http::Exchange exchange, std::string_view path, bool first_version);

}  // namespace millrace::signalr
