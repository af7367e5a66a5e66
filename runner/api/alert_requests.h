#pragma once

#include <optional>
#include <string>

#include "runner/api/alert_json.h"
#include "runner/http/message.h"
#include "runner/stage/alert_desk.h"
#include "runner/store/history.h"

namespace millrace::api {

// Requests of REST, read and checked. Pure: from what a client sent to what it asks for, or to a message of what is wrong.

/// A page of `?state=&rule=&key=&pipeline=&stage=&since=&until=&limit=&cursor=`.
Result<store::IncidentFilter> incident_filter_of(const http::Request& request);

/// Where the page after one that ends with this incident begins; incident_filter_of() reads it.
std::string cursor_after(const store::Incident& last);

/// `?pipeline=&stage=&all=true`: without `all` those that hold at `now_ms` or later.
Result<store::SilenceFilter> silence_filter_of(const http::Request& request, std::int64_t now_ms);

/// Who does it and what they say: `{"by", "comment"}`. `user` is who the token names: it stands, and a `by` must agree; without
/// one, `by` is needed.
struct Saying {
  std::string by, comment;
};
Result<Saying> saying_of(const http::Request& request, const std::string& user);

/// `{"pipeline", "stage", "rule", "key", "id", "from", "to" or "for", "by", "comment"}`.
struct WantedSilence {
  StageName scope;
  Silence silence;
};
Result<WantedSilence> silence_of(const http::Request& request, const std::string& user, Time now);

}  // namespace millrace::api
