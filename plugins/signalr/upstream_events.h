#pragma once

#include <memory>
#include <string>

namespace millrace::signalr {

class Hub;
class Upstream;

/// Tells the upstream who comes and goes, and hands it the calls of methods that the hub does not have: the client gets what
/// the upstream answers. Those calls need the right `command`. `name` is the hub's, for the upstream. Before Hub::open().
void add_upstream(Hub& hub, const std::shared_ptr<Upstream>& upstream, std::string name);

}  // namespace millrace::signalr
