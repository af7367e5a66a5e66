#include "runner/supervise/listeners.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runner/http/access.h"
#include "runner/http/address.h"
#include "runner/http/routes.h"
#include "runner/http/token_keys.h"

namespace millrace::supervise {

Result<Listeners::Listening*> Listeners::acquire(const graph::Listen& listen) {
  Result<http::ListenOptions> wanted = options_of(listen);
  if (!wanted) return wanted.error();
  std::string key = wanted->address.text();
  auto found = listeners_.find(key);
  if (found != listeners_.end()) {
    if (!(found->second->listener->options() == *wanted))
      return invalid(fmt::format("another pipeline listens on {} with other settings for TLS or tokens", key));
    ++found->second->users;
    return found->second.get();
  }
  auto made = std::make_unique<Listening>();
  made->listener = std::make_unique<http::Listener>(*wanted, options_.log);
  add_routes(*made);
  Result<std::uint16_t> port = made->listener->start();
  if (!port) return port.error();
  made->users = 1;
  http::Address bound = wanted->address;
  bound.port = *port;
  if (options_.on_page) options_.on_page(fmt::format("{}://{}/", wanted->tls ? "https" : "http", bound.text()));
  std::lock_guard lock(mutex_);
  return (listeners_[key] = std::move(made)).get();
}

void Listeners::add_routes(Listening& listening) {
  http::Routes& routes = listening.listener->routes();
  auto add = [&](Result<http::Route> route) {
    if (route) listening.routes.push_back(std::move(*route));
  };
  add(routes.add("/healthz", http::serve_health()));
  add(routes.add("/readyz", http::serve_readiness(options_.readiness)));
  add(routes.add("/api/session", http::serve_session(routes.access())));
  add(routes.add("/metrics", http::demand(routes.access(), http::Right::read, http::serve_metrics(options_.metrics))));
  if (options_.further_routes)
    for (http::Route& route : options_.further_routes(routes)) listening.routes.push_back(std::move(route));
  if (!options_.page.empty()) add(routes.add_prefix("/", http::serve_files(options_.page)));
}

void Listeners::release(Listening*& listening) {
  Listening* released = std::exchange(listening, nullptr);
  if (!released || --released->users > 0) return;
  released->listener->stop();
  auto place =
      std::find_if(listeners_.begin(), listeners_.end(), [&](const auto& entry) { return entry.second.get() == released; });
  decltype(listeners_)::node_type gone;  // goes without the lock, as a listener ends with a loop
  std::lock_guard lock(mutex_);
  gone = listeners_.extract(place);
}

bool Listeners::at(const Listening* listening, const graph::Listen& listen) {
  Result<http::ListenOptions> wanted = options_of(listen);
  return listening && wanted && listening->listener->options().address.text() == wanted->address.text();
}

void Listeners::renew_certificates() {
  for (auto& [address, listening] : listeners_) {
    Result<bool> renewed = listening->listener->renew_certificate();
    if (!renewed)
      options_.log(LogLevel::error, fmt::format("{}: {}; the former certificate stays in use", address, renewed.error().what));
    else if (*renewed)
      options_.log(LogLevel::info, fmt::format("{}: new connections get the renewed certificate", address));
  }
}

void Listeners::all(const std::function<void(const std::vector<const http::Listener*>&)>& look) const {
  std::lock_guard lock(mutex_);
  std::vector<const http::Listener*> listeners;
  for (const auto& [address, listening] : listeners_) listeners.push_back(listening->listener.get());
  look(listeners);
}

Result<http::ListenOptions> Listeners::options_of(const graph::Listen& listen) {
  http::ListenOptions made;
  auto address = http::parse_address(options_.listen.value_or(listen.address));
  if (!address) return address.error();
  made.address = *address;
  made.insecure = listen.insecure;
  if (listen.tls) made.tls = http::Tls{listen.tls->cert.path, listen.tls->key.path};
  if (listen.auth == graph::Listen::Auth::required) made.auth = http::Auth::required;
  if (listen.auth == graph::Listen::Auth::none) made.auth = http::Auth::none;
  made.keys = token_keys(listen);
  return made;
}

std::shared_ptr<http::TokenKeys> Listeners::token_keys(const graph::Listen& listen) {
  std::filesystem::path file = listen.token_keys.path;
  if (file.empty() && options_.data_folder.empty()) return nullptr;
  if (file.empty()) file = http::TokenKeys::file_in(options_.data_folder);
  auto& keys = token_keys_[file];
  if (!keys)
    keys = std::make_shared<http::TokenKeys>(file,
                                             [log = options_.log](std::string_view problem) { log(LogLevel::error, problem); });
  return keys;
}

}  // namespace millrace::supervise
