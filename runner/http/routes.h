#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <typeindex>
#include <vector>

#include "runner/http/loop.h"
#include "runner/http/message.h"
#include "runner/http/stream.h"
#include "runner/stage/error.h"

namespace millrace::http {

/// The other half of a request: whoever holds it owes the answer, at once or later, and gives it once. Let go of without an
/// answer it answers 500. Belongs to the loop's thread.
class Exchange {
 public:
  /// Implemented by the connection.
  class Peer {
   public:
    virtual ~Peer() = default;
    virtual void respond(Response response) = 0;
    virtual std::unique_ptr<Stream> take_over(std::string_view head) = 0;
    virtual void when_gone(std::function<void()> gone) = 0;
  };

  explicit Exchange(std::shared_ptr<Peer> peer) : peer_(std::move(peer)) {}
  Exchange(Exchange&&) noexcept = default;
  Exchange& operator=(Exchange&&) = delete;
  ~Exchange();

  void respond(Response response);

  /// Ends HTTP on this connection, after sending `head` (a status line and headers, complete with the empty line). For
  /// WebSockets and event streams.
  std::unique_ptr<Stream> take_over(std::string_view head);

  /// Calls `gone` once if the client goes away before the answer, for an answer that is kept back for long.
  void when_gone(std::function<void()> gone);

 private:
  std::shared_ptr<Peer> peer_;
};

/// Handles a request on the loop's thread, without waiting.
using Handler = std::function<void(const Request&, Exchange)>;

/// Handles a request that is answered at once.
using Answer = std::function<Response(const Request&)>;

class Access;
class Routes;

/// A path that somebody has claimed; destroying it frees the path. A request that is being handled may outlive it, so handlers
/// hold what they touch by shared or weak pointer.
class Route {
 public:
  Route() = default;
  Route(Route&& other) noexcept;
  Route& operator=(Route&& other) noexcept;
  ~Route();

 private:
  friend class Routes;
  struct Table;
  Route(std::shared_ptr<Table> table, std::string key) : table_(std::move(table)), key_(std::move(key)) {}
  std::shared_ptr<Table> table_;
  std::string key_;
};

/// The paths of one listener and its loop: what plugins see of the listener, as Context::service<http::Routes>(). Any thread.
class Routes {
 public:
  /// Without `access` everybody may do everything.
  explicit Routes(std::shared_ptr<Loop> loop, std::shared_ptr<const Access> access = nullptr);

  /// Claims exactly `path`, in any case of its letters; fails if it is taken. A more exact claim wins over a prefix.
  Result<Route> add(std::string path, Handler handler);

  /// Claims everything at or below `prefix`; the longest prefix wins.
  Result<Route> add_prefix(std::string prefix, Handler handler);

  /// A handler that answers at once, as one that may answer later.
  static Handler answering(Answer answer);

  /// The handler for a path, or none.
  Handler find(std::string_view path) const;

  const std::shared_ptr<Loop>& loop() const { return loop_; }

  /// Who may do what on this listener; see runner/http/access.h.
  const std::shared_ptr<const Access>& access() const { return access_; }

  /// What several stages of a listener use together, such as a hub: the one called `name`, or what `make` returns if nobody
  /// holds one any more. Kept as long as anybody holds it.
  template <class T>
  std::shared_ptr<T> share(const std::string& name, const std::function<std::shared_ptr<T>()>& make) {
    return std::static_pointer_cast<T>(share(std::type_index(typeid(T)), name, make));
  }

 private:
  std::shared_ptr<void> share(std::type_index type, const std::string& name,
                              const std::function<std::shared_ptr<void>()>& make);

  std::shared_ptr<Loop> loop_;
  std::shared_ptr<const Access> access_;
  std::shared_ptr<Route::Table> table_;
  std::mutex shared_mutex_;
  std::map<std::pair<std::type_index, std::string>, std::weak_ptr<void>> shared_;
};

}  // namespace millrace::http
