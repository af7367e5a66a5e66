#include "runner/api/alert_rest.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "runner/api/alert_json.h"
#include "runner/api/alert_requests.h"
#include "runner/api/reply.h"
#include "runner/http/access.h"
#include "runner/http/origin.h"
#include "runner/store/history_reader.h"

namespace millrace::api {
namespace {

using ReplyPtr = std::shared_ptr<Reply>;

constexpr std::string_view alerts_path = "/api/alerts";
constexpr std::string_view silences_path = "/api/silences";
constexpr std::size_t longest_body = 16U << 10U;

http::Response refusal(const Error& error) {
  switch (error.kind) {
    case ErrorKind::overloaded:
    case ErrorKind::unavailable: {
      http::Response response = error_response(503, error.what);
      response.headers.emplace_back("Retry-After", "1");
      return response;
    }
    default: return error_response(422, error.what);
  }
}

http::Response not_allowed(const char* methods) {
  http::Response response = error_response(405, fmt::format("only {} here", methods));
  response.headers.emplace_back("Allow", methods);
  return response;
}

bool is_json(const http::Request& request) {
  const std::string* type = request.header("Content-Type");
  if (!type) return false;
  std::string_view essence = std::string_view(*type).substr(0, type->find(';'));
  while (essence.ends_with(' ')) essence.remove_suffix(1);
  return http::equal_ignoring_case(essence, "application/json");
}

/// What is behind `prefix/`, or empty.
std::string_view behind(std::string_view prefix, std::string_view path) {
  return path.size() > prefix.size() + 1 ? path.substr(prefix.size() + 1) : std::string_view{};
}

/// One request that has passed the door.
struct Call {
  http::Request request;
  http::Identity who;
  ReplyPtr reply;
};

/// Whether they may see the alerts of a key: those that the hub would send them.
bool may_see(const http::Identity& who, const std::string& key) { return who.may_join("device:" + key); }

http::Response no_such(std::string_view incident) {
  return error_response(404, fmt::format("there is no incident '{}'", incident));
}

}  // namespace

struct AlertRest::Impl {
  Impl(AlertActions& with, const Clock& the_clock, Options wanted)
      : actions(with), clock(the_clock), options(std::move(wanted)) {}

  using Work = void (Impl::*)(const Call&);

  void run(const std::stop_token& stop);
  http::Handler handler(const std::shared_ptr<const http::Access>& access, const std::shared_ptr<http::Loop>& loop,
                        std::weak_ptr<Impl> self, Work (Impl::*route)(const http::Request&, http::Response& refused) const);
  void enter(const Call& call, Work work);

  Work alerts(const http::Request& request, http::Response& refused) const;
  Work silences(const http::Request& request, http::Response& refused) const;

  void list_alerts(const Call& call);
  void show_alert(const Call& call);
  void acknowledge(const Call& call);
  void comment(const Call& call);
  void list_silences(const Call& call);
  void silence(const Call& call);
  void unsilence(const Call& call);

  Result<store::HistoryReader*> history();
  template <class T, class Query>
  Result<T> read(Query query);
  Result<std::optional<store::Event>> opening_of(std::string_view incident);

  AlertActions& actions;
  const Clock& clock;
  const Options options;
  std::unique_ptr<store::HistoryReader> reader;  // the thread's own

  std::mutex mutex;  // guards what follows
  std::condition_variable_any waiting;
  std::deque<std::pair<Call, Work>> queue;
  bool closed = false;

  std::jthread thread;
};

AlertRest::AlertRest(AlertActions& actions, const Clock& clock, Options options)
    : impl_(std::make_shared<Impl>(actions, clock, std::move(options))) {
  impl_->thread = std::jthread([impl = impl_.get()](const std::stop_token& stop) { impl->run(stop); });
}

AlertRest::~AlertRest() { close(); }

void AlertRest::close() {
  {
    std::lock_guard lock(impl_->mutex);
    if (std::exchange(impl_->closed, true)) return;
  }
  impl_->thread.request_stop();
  impl_->thread.join();
  for (auto& [call, work] : std::exchange(impl_->queue, {})) call.reply->send(error_response(503, "the instance is stopping"));
}

std::vector<http::Route> AlertRest::serve(http::Routes& routes) {
  std::vector<http::Route> all;
  auto add = [&](std::string_view path, auto route) {
    auto claimed = routes.add_prefix(std::string(path), impl_->handler(routes.access(), routes.loop(), impl_, route));
    if (claimed) all.push_back(std::move(*claimed));
  };
  add(alerts_path, &Impl::alerts);
  add(silences_path, &Impl::silences);
  return all;
}

http::Handler AlertRest::Impl::handler(const std::shared_ptr<const http::Access>& access,
                                       const std::shared_ptr<http::Loop>& loop, std::weak_ptr<Impl> self,
                                       Work (Impl::*route)(const http::Request&, http::Response& refused) const) {
  return [access, loop, self = std::move(self), route](const http::Request& request, http::Exchange exchange) {
    auto impl = self.lock();
    if (!impl) return exchange.respond(error_response(503, "the instance is stopping"));
    const bool reads = request.method == "GET" || request.method == "HEAD";
    auto who = access->identify(request);
    if (!who) {
      http::Response response = error_response(401, "a valid token is needed; `millrace token` mints one");
      response.headers.emplace_back("WWW-Authenticate", "Bearer");
      return exchange.respond(std::move(response));
    }
    if (!who->may(reads ? http::Right::read : http::Right::ack))
      return exchange.respond(error_response(403, "your token does not allow this"));
    if (request.path.starts_with(silences_path) && !who->any_group())
      return exchange.respond(
          error_response(403, "silences reach over devices, and your token does not; it needs the group *"));
    if (!reads && !http::Origins().allow(request))
      return exchange.respond(error_response(403, "pages of another origin may not do this"));
    http::Response refused;
    const Work work = (impl.get()->*route)(request, refused);
    if (!work) return exchange.respond(std::move(refused));
    if (request.body.size() > longest_body)
      return exchange.respond(error_response(413, fmt::format("a body has at most {} bytes here", longest_body)));
    if (!request.body.empty() && !is_json(request))
      return exchange.respond(error_response(415, "the body is to be application/json"));
    impl->enter({request, *who, Reply::owe(loop, std::move(exchange), impl->options.patience)}, work);
  };
}

void AlertRest::Impl::enter(const Call& call, Work work) {
  std::lock_guard lock(mutex);
  if (closed) return call.reply->send(error_response(503, "the instance is stopping"));
  if (queue.size() >= options.queue) return call.reply->send(refusal(overloaded("too many requests wait; try again later")));
  queue.emplace_back(call, work);
  waiting.notify_one();
}

void AlertRest::Impl::run(const std::stop_token& stop) {
  for (;;) {
    std::unique_lock lock(mutex);
    if (!waiting.wait(lock, stop, [this] { return !queue.empty(); }) || stop.stop_requested()) return;
    auto [call, work] = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    (this->*work)(call);
  }
}

AlertRest::Impl::Work AlertRest::Impl::alerts(const http::Request& request, http::Response& refused) const {
  const std::string_view rest = behind(alerts_path, request.path);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  const auto refuse = [&refused](http::Response with) -> Work {
    refused = std::move(with);
    return nullptr;
  };
  if (rest.empty()) return reads ? &Impl::list_alerts : refuse(not_allowed("GET, HEAD"));
  // An incident's name ends with its number, so that what follows that is not part of it.
  const std::string_view after = rest.substr(std::min(rest.size(), rest.find_first_not_of("0123456789", rest.rfind('#') + 1)));
  if (rest.find('#') == std::string_view::npos)
    return refuse(error_response(404, "an incident's name ends with # and a number"));
  if (after.empty()) return reads ? &Impl::show_alert : refuse(not_allowed("GET, HEAD"));
  if (after == "/ack") return request.method == "POST" ? &Impl::acknowledge : refuse(not_allowed("POST"));
  if (after == "/comments") return request.method == "POST" ? &Impl::comment : refuse(not_allowed("POST"));
  return refuse(error_response(404, "there is nothing here"));
}

AlertRest::Impl::Work AlertRest::Impl::silences(const http::Request& request, http::Response& refused) const {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (behind(silences_path, request.path).empty()) {
    if (reads) return &Impl::list_silences;
    if (request.method == "POST") return &Impl::silence;
    refused = not_allowed("GET, HEAD, POST");
    return nullptr;
  }
  if (request.method == "DELETE") return &Impl::unsilence;
  refused = not_allowed("DELETE");
  return nullptr;
}

Result<store::HistoryReader*> AlertRest::Impl::history() {
  if (!reader) {
    auto opened = store::HistoryReader::open(options.data_folder);
    if (!opened) return unavailable(opened.error().what);
    reader = std::move(*opened);
  }
  return reader.get();
}

template <class T, class Query>
Result<T> AlertRest::Impl::read(Query query) {
  auto opened = history();
  if (!opened) return opened.error();
  return query(**opened);
}

void AlertRest::Impl::list_alerts(const Call& call) {
  auto filter = incident_filter_of(call.request);
  if (!filter) return call.reply->send(error_response(400, filter.error().what));
  const std::size_t limit = filter->limit++;  // one more tells whether there is a next page
  auto incidents = read<std::vector<store::Incident>>([&](store::HistoryReader& from) { return from.incidents(*filter); });
  if (!incidents) return call.reply->send(refusal(incidents.error()));
  Json page{{"alerts", Json::array()}};
  for (std::size_t i = 0; i < std::min(limit, incidents->size()); ++i)
    if (may_see(call.who, (*incidents)[i].opening.key)) page["alerts"].push_back(json_of((*incidents)[i]));
  if (incidents->size() > limit) page["next"] = cursor_after((*incidents)[limit - 1]);
  call.reply->send(json_response(page));
}

Result<std::optional<store::Event>> AlertRest::Impl::opening_of(std::string_view incident) {
  auto timeline = read<std::vector<store::Event>>([&](store::HistoryReader& from) { return from.timeline(incident); });
  if (!timeline) return timeline.error();
  if (timeline->empty()) return std::optional<store::Event>{};
  return std::optional<store::Event>(std::move(timeline->front()));
}

void AlertRest::Impl::show_alert(const Call& call) {
  const std::string_view name = behind(alerts_path, call.request.path);
  auto found = read<std::vector<store::Incident>>([&](store::HistoryReader& from) { return from.find(name, 1); });
  if (!found) return call.reply->send(refusal(found.error()));
  if (found->empty() || found->front().opening.incident_id != name || !may_see(call.who, found->front().opening.key))
    return call.reply->send(no_such(name));
  const store::Incident& incident = found->front();
  auto timeline = reader->timeline(name);
  if (!timeline) return call.reply->send(refusal(timeline.error()));
  auto told = reader->told(name);
  if (!told) return call.reply->send(refusal(told.error()));
  auto silences = reader->silences_of(incident);
  if (!silences) return call.reply->send(refusal(silences.error()));
  call.reply->send(json_response(whole_json(incident, *timeline, *told, *silences, to_whole_millis(clock.now()))));
}

void AlertRest::Impl::acknowledge(const Call& call) {
  std::string_view name = behind(alerts_path, call.request.path);
  name.remove_suffix(std::string_view("/ack").size());
  auto saying = saying_of(call.request, call.who.user);
  if (!saying) return call.reply->send(error_response(400, saying.error().what));
  auto opening = opening_of(name);
  if (!opening) return call.reply->send(refusal(opening.error()));
  if (!*opening || !may_see(call.who, (*opening)->key)) return call.reply->send(no_such(name));
  const store::Event& about = **opening;
  actions.acknowledge({about.pipeline, about.stage}, {about.key, about.rule, about.incident_id, saying->by, saying->comment},
                      [reply = call.reply](const Result<std::vector<Acknowledged>>& said) {
                        if (!said) return reply->send(refusal(said.error()));
                        if (said->empty()) return reply->send(error_response(500, "the stage did not say what became of it"));
                        const Acknowledged& one = said->front();
                        if (one.outcome == Acknowledged::Outcome::not_open)
                          return reply->send(error_response(409, "it is not open any more; recorded, and ignored"));
                        reply->send(json_response(json_of(one)));
                      });
}

void AlertRest::Impl::comment(const Call& call) {
  std::string_view name = behind(alerts_path, call.request.path);
  name.remove_suffix(std::string_view("/comments").size());
  auto saying = saying_of(call.request, call.who.user);
  if (saying && saying->comment.empty()) saying = invalid("say something, with 'comment'");
  if (!saying) return call.reply->send(error_response(400, saying.error().what));
  auto opening = opening_of(name);
  if (!opening) return call.reply->send(refusal(opening.error()));
  if (!*opening || !may_see(call.who, (*opening)->key)) return call.reply->send(no_such(name));
  const store::Event& about = **opening;
  Json said{{"incident", about.incident_id}, {"by", saying->by}, {"comment", saying->comment}};
  actions.comment({about.pipeline, about.stage}, {about.rule, about.key, about.incident_id, saying->by, saying->comment},
                  [reply = call.reply, said = std::move(said)](const Result<void>& kept) {
                    reply->send(kept ? json_response(said, 201) : refusal(kept.error()));
                  });
}

void AlertRest::Impl::list_silences(const Call& call) {
  const std::int64_t now = to_whole_millis(clock.now());
  auto filter = silence_filter_of(call.request, now);
  if (!filter) return call.reply->send(error_response(400, filter.error().what));
  auto silences = read<std::vector<store::Silence>>([&](store::HistoryReader& from) { return from.silences(*filter); });
  if (!silences) return call.reply->send(refusal(silences.error()));
  Json all{{"silences", Json::array()}};
  for (const store::Silence& silence : *silences) all["silences"].push_back(json_of(silence, now));
  call.reply->send(json_response(all));
}

namespace {

Json list_of(const std::vector<KeptSilence>& silences) {
  Json all{{"silences", Json::array()}};
  for (const KeptSilence& silence : silences) all["silences"].push_back(json_of(silence));
  return all;
}

}  // namespace

void AlertRest::Impl::silence(const Call& call) {
  auto wanted = silence_of(call.request, call.who.user, clock.now());
  if (!wanted) return call.reply->send(error_response(400, wanted.error().what));
  actions.silence(wanted->scope, wanted->silence, [reply = call.reply](const Result<std::vector<KeptSilence>>& kept) {
    reply->send(kept ? json_response(list_of(*kept), 201) : refusal(kept.error()));
  });
}

void AlertRest::Impl::unsilence(const Call& call) {
  const std::int64_t now = to_whole_millis(clock.now());
  const std::string id(behind(silences_path, call.request.path));
  auto filter = silence_filter_of(call.request, now);
  if (!filter) return call.reply->send(error_response(400, filter.error().what));
  auto silences = read<std::vector<store::Silence>>([&](store::HistoryReader& from) { return from.silences(*filter); });
  if (!silences) return call.reply->send(refusal(silences.error()));
  auto meant = [&](const store::Silence& s) { return s.id == id; };
  if (std::none_of(silences->begin(), silences->end(), meant))
    return call.reply->send(error_response(404, fmt::format("no silence that holds is called '{}'", id)));
  Silence which;
  which.id = id;
  which.by = call.who.user;
  actions.unsilence({filter->pipeline, filter->stage}, which,
                    [reply = call.reply](const Result<std::vector<KeptSilence>>& over) {
                      reply->send(over ? json_response(list_of(*over)) : refusal(over.error()));
                    });
}

}  // namespace millrace::api
