#include "runner/http/routes.h"

#include <fmt/core.h>

#include <cassert>

#include "runner/http/access.h"

namespace millrace::http {

Exchange::~Exchange() {
  if (peer_) peer_->respond({.status = 500, .body = "The server gave no answer.\n"});
}

void Exchange::respond(Response response) {
  assert(peer_ && "a request is answered once");
  std::exchange(peer_, nullptr)->respond(std::move(response));
}

std::unique_ptr<Stream> Exchange::take_over(std::string_view head) {
  assert(peer_ && "a request is answered once");
  return std::exchange(peer_, nullptr)->take_over(head);
}

void Exchange::when_gone(std::function<void()> gone) {
  assert(peer_ && "the request was answered already");
  peer_->when_gone(std::move(gone));
}

/// Keys are lower-case paths; a prefix ends with '*'.
struct Route::Table {
  mutable std::mutex mutex;
  std::map<std::string, Handler, std::less<>> handlers;
};

namespace {

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

}  // namespace

Route::Route(Route&& other) noexcept : table_(std::move(other.table_)), key_(std::move(other.key_)) {}

Route& Route::operator=(Route&& other) noexcept {
  std::swap(table_, other.table_);
  std::swap(key_, other.key_);
  return *this;
}

Route::~Route() {
  if (!table_) return;
  Handler last;  // what it holds may need the lock itself when it goes
  std::lock_guard lock(table_->mutex);
  if (auto found = table_->handlers.find(key_); found != table_->handlers.end()) {
    last = std::move(found->second);
    table_->handlers.erase(found);
  }
}

Routes::Routes(std::shared_ptr<Loop> loop, std::shared_ptr<const Access> access)
    : loop_(std::move(loop)),
      access_(access ? std::move(access) : std::make_shared<const Access>()),
      table_(std::make_shared<Route::Table>()) {}

Result<Route> Routes::add(std::string path, Handler handler) {
  if (!path.starts_with('/')) return invalid(fmt::format("the path '{}' must begin with '/'", path));
  std::string key = lower_case(path);
  std::lock_guard lock(table_->mutex);
  if (!table_->handlers.try_emplace(key, std::move(handler)).second)
    return invalid(fmt::format("the path '{}' is already served on this listener; give one of the two another path", path));
  return Route(table_, std::move(key));
}

Result<Route> Routes::add_prefix(std::string prefix, Handler handler) {
  while (prefix.size() > 1 && prefix.ends_with('/')) prefix.pop_back();
  return add(prefix + '*', std::move(handler));
}

Handler Routes::answering(Answer answer) {
  return [answer = std::move(answer)](const Request& request, Exchange exchange) { exchange.respond(answer(request)); };
}

Handler Routes::find(std::string_view path) const {
  std::string key = lower_case(std::string(path));
  std::lock_guard lock(table_->mutex);
  if (auto found = table_->handlers.find(key); found != table_->handlers.end()) return found->second;
  while (true) {
    key += '*';
    if (auto found = table_->handlers.find(key); found != table_->handlers.end()) return found->second;
    key.pop_back();
    if (key.size() <= 1) return {};
    auto slash = key.rfind('/');
    key.resize(slash == 0 || slash == std::string::npos ? 1 : slash);
  }
}

std::shared_ptr<void> Routes::share(std::type_index type, const std::string& name,
                                    const std::function<std::shared_ptr<void>()>& make) {
  std::lock_guard lock(shared_mutex_);
  auto& slot = shared_[{type, name}];
  auto shared = slot.lock();
  if (!shared) slot = shared = make();
  return shared;
}

}  // namespace millrace::http
