#include "runner/api/alert_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "runner/config/event_time.h"
#include "runner/config/values.h"

namespace millrace::api {
namespace {

constexpr std::int64_t latest_ms = 253'402'300'800'000;  // the year 10000
constexpr std::size_t longest_text = 4096;
constexpr std::int64_t most_on_a_page = 500;

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::optional<std::int64_t> moment(std::string_view text) {
  if (auto time = config::parse_rfc3339(text)) return to_whole_millis(*time);
  auto ms = whole_number(text);
  return ms && *ms >= 0 && *ms < latest_ms ? ms : std::nullopt;
}

/// The parameters of a query; one that is not known, or stands twice, is an error.
class Query {
 public:
  explicit Query(const http::Request& request) : request_(request) {}

  Result<void> only(std::initializer_list<std::string_view> known) const {
    std::string_view rest = request_.query;
    while (!rest.empty()) {
      std::string_view one = rest.substr(0, rest.find('&'));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      if (one.empty()) continue;
      auto name = http::percent_decode(one.substr(0, one.find('=')), true);
      auto same = [&](std::string_view k) { return name && http::equal_ignoring_case(*name, k); };
      if (std::none_of(known.begin(), known.end(), same))
        return invalid(fmt::format("unknown parameter '{}'; known are {}", name.value_or("?"), fmt::join(known, ", ")));
      if (request_.parameters(*name).size() != 1) return invalid(fmt::format("'{}' stands twice, or is malformed", *name));
    }
    return {};
  }

  std::string text(std::string_view name) const { return request_.parameter(name).value_or(""); }

  Result<std::optional<std::int64_t>> time(std::string_view name) const {
    auto given = request_.parameter(name);
    if (!given) return std::optional<std::int64_t>{};
    if (auto ms = moment(*given)) return ms;
    return invalid(fmt::format("'{}' is a time: milliseconds since 1970, or as RFC 3339 has it", name));
  }

 private:
  const http::Request& request_;
};

/// The members of a JSON body; one that is not known, or of another type, is an error.
class Body {
 public:
  static Result<Body> of(const http::Request& request, std::initializer_list<std::string_view> known) {
    Body body;
    body.json_ = request.body.empty() ? nlohmann::json::object() : nlohmann::json::parse(request.body, nullptr, false);
    if (!body.json_.is_object()) return invalid("the body is no JSON object");
    for (const auto& [name, value] : body.json_.items())
      if (std::find(known.begin(), known.end(), name) == known.end())
        return invalid(fmt::format("unknown member '{}'; known are {}", name, fmt::join(known, ", ")));
    return body;
  }

  Result<std::string> text(const char* name) const {
    auto found = json_.find(name);
    if (found == json_.end() || found->is_null()) return std::string();
    if (!found->is_string() || found->get_ref<const std::string&>().size() > longest_text)
      return invalid(fmt::format("'{}' is a text of at most {} bytes", name, longest_text));
    return found->get<std::string>();
  }

  Result<std::optional<Time>> time(const char* name) const {
    auto found = json_.find(name);
    if (found == json_.end() || found->is_null()) return std::optional<Time>{};
    std::optional<std::int64_t> ms;
    if (found->is_number_integer()) ms = moment(std::to_string(found->get<std::int64_t>()));
    if (found->is_string()) ms = moment(found->get_ref<const std::string&>());
    if (!ms) return invalid(fmt::format("'{}' is a time: milliseconds since 1970, or a text as RFC 3339 has it", name));
    return std::optional<Time>(from_millis(*ms));
  }

  /// An object of texts.
  Result<AlertLabels> labels() const {
    AlertLabels labels;
    auto found = json_.find("labels");
    if (found == json_.end() || found->is_null()) return labels;
    if (!found->is_object()) return invalid("'labels' is an object of texts, such as {\"room\": \"attic*\"}");
    for (const auto& [name, wanted] : found->items()) {
      if (!wanted.is_string() || wanted.get_ref<const std::string&>().size() > longest_text)
        return invalid(fmt::format("the label '{}' is a text of at most {} bytes", name, longest_text));
      labels.emplace_back(name, wanted.get<std::string>());
    }
    return labels;
  }

  Result<bool> flag(const char* name) const {
    auto found = json_.find(name);
    if (found == json_.end() || found->is_null()) return false;
    if (!found->is_boolean()) return invalid(fmt::format("'{}' is true or false", name));
    return found->get<bool>();
  }

  /// Reads all of `texts`, in order.
  Result<void> texts(std::initializer_list<std::pair<const char*, std::string*>> texts) const {
    for (auto& [name, to] : texts) {
      auto said = text(name);
      if (!said) return said.error();
      *to = std::move(*said);
    }
    return {};
  }

 private:
  nlohmann::json json_;
};

Result<std::string> who(const std::string& said, const std::string& user) {
  if (user.empty() && said.empty()) return invalid("say who it is, with 'by'");
  if (!user.empty() && !said.empty() && said != user)
    return invalid(fmt::format("'by' is '{}', and the token is {}'s; leave 'by' out", said, user));
  return user.empty() ? said : user;
}

}  // namespace

Result<store::IncidentFilter> incident_filter_of(const http::Request& request) {
  const Query query(request);
  if (auto known = query.only({"state", "rule", "key", "pipeline", "stage", "since", "until", "limit", "cursor"}); !known)
    return known.error();
  store::IncidentFilter filter;
  filter.pipeline = query.text("pipeline");
  filter.stage = query.text("stage");
  filter.rule = query.text("rule");
  filter.key = query.text("key");
  filter.state = query.text("state");
  constexpr std::string_view states[] = {"", "open", "FIRING", "RECOVERING", "LATCHED", "OK"};
  if (std::find(std::begin(states), std::end(states), filter.state) == std::end(states))
    return invalid("'state' is one of open, FIRING, RECOVERING, LATCHED, OK");
  auto since = query.time("since"), until = query.time("until");
  if (!since) return since.error();
  if (!until) return until.error();
  filter.since_ms = *since;
  filter.until_ms = *until;
  if (auto limit = request.parameter("limit")) {
    auto number = whole_number(*limit);
    if (!number || *number < 1 || *number > most_on_a_page)
      return invalid(fmt::format("'limit' is from 1 to {}", most_on_a_page));
    filter.limit = static_cast<std::size_t>(*number);
  }
  if (auto cursor = request.parameter("cursor")) {
    const auto dash = cursor->find('-', 1);
    const auto ms = whole_number(std::string_view(*cursor).substr(0, dash));
    const auto seq = dash == std::string::npos ? std::nullopt : whole_number(std::string_view(*cursor).substr(dash + 1));
    if (!ms || !seq) return invalid("'cursor' is what `next` of the page before says");
    filter.before_event_ms = ms;
    filter.before_seq = seq;
  }
  return filter;
}

std::string cursor_after(const store::Incident& last) { return fmt::format("{}-{}", last.opening.event_ms, last.opening.seq); }

Result<store::SilenceFilter> silence_filter_of(const http::Request& request, std::int64_t now_ms) {
  const Query query(request);
  if (auto known = query.only({"pipeline", "stage", "all"}); !known) return known.error();
  const std::string all = query.text("all");
  if (!all.empty() && all != "true" && all != "false") return invalid("'all' is true or false");
  return store::SilenceFilter{query.text("pipeline"), query.text("stage"),
                              all == "true" ? std::nullopt : std::optional(now_ms)};
}

Result<Saying> saying_of(const http::Request& request, const std::string& user) {
  auto body = Body::of(request, {"by", "comment"});
  if (!body) return body.error();
  Saying saying;
  if (auto read = body->texts({{"by", &saying.by}, {"comment", &saying.comment}}); !read) return read.error();
  auto by = who(saying.by, user);
  if (!by) return by.error();
  saying.by = std::move(*by);
  return saying;
}

Result<WantedSilence> silence_of(const http::Request& request, const std::string& user, Time now) {
  auto body =
      Body::of(request, {"pipeline", "stage", "rule", "key", "labels", "id", "from", "to", "for", "once", "by", "comment"});
  if (!body) return body.error();
  WantedSilence wanted;
  Silence& s = wanted.silence;
  std::string lasting;
  auto read = body->texts({{"pipeline", &wanted.scope.pipeline},
                           {"stage", &wanted.scope.stage},
                           {"rule", &s.rule},
                           {"key", &s.key},
                           {"id", &s.id},
                           {"for", &lasting},
                           {"by", &s.by},
                           {"comment", &s.comment}});
  if (!read) return read.error();
  auto labels = body->labels();
  if (!labels) return labels.error();
  s.labels = std::move(*labels);
  auto once = body->flag("once");
  if (!once) return once.error();
  s.once = *once;
  auto from = body->time("from"), to = body->time("to");
  if (!from) return from.error();
  if (!to) return to.error();
  if (s.once && from->has_value()) return invalid("with 'once' it begins at once: leave 'from' out");
  if (to->has_value() == !lasting.empty()) return invalid("say when it ends: either 'to', a time, or 'for', a duration");
  s.from = from->value_or(now);
  if (!lasting.empty()) {
    auto duration = config::parse_duration(lasting);
    if (!duration) return invalid(fmt::format("'for' is {}", duration.error().what));
    s.to = s.from + *duration;
  } else {
    s.to = **to;
  }
  auto by = who(s.by, user);
  if (!by) return by.error();
  s.by = std::move(*by);
  return wanted;
}

}  // namespace millrace::api
