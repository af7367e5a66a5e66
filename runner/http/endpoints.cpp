#include <utility>

#include "runner/http/listener.h"

namespace millrace::http {
namespace {

template <class Make>
Handler reading(Make make) {
  return Routes::answering([make = std::move(make)](const Request& request) -> Response {
    if (request.method != "GET" && request.method != "HEAD")
      return {.status = 405, .body = "Only GET and HEAD.\n", .headers = {{"Allow", "GET, HEAD"}}};
    Response response = make();
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
  });
}

}  // namespace

Handler serve_health() {
  return reading([] { return Response{.content_type = "application/json", .body = "{\"status\":\"alive\"}\n"}; });
}

Handler serve_readiness(std::function<Readiness()> readiness) {
  return reading([readiness = std::move(readiness)] {
    Readiness state = readiness();
    return Response{.status = state.ready ? 200 : 503, .content_type = "application/json", .body = std::move(state.json)};
  });
}

Handler serve_metrics(std::function<std::string()> text) {
  return reading([text = std::move(text)] {
    return Response{.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = text()};
  });
}

}  // namespace millrace::http
