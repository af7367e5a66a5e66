#include "runner/cli/control_requests.h"

#include <fmt/format.h>

#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "runner/api/alert_json.h"

namespace millrace::cli {
namespace {

using api::Json;

/// One request in hand: what it says, and how long it is waited for.
class Request {
 public:
  Request(Json json, std::chrono::milliseconds patience) : json_(std::move(json)), patience_(patience) {}

  std::string text(const char* name) const {
    auto found = json_.find(name);
    return found != json_.end() && found->is_string() ? found->get<std::string>() : std::string{};
  }
  Time time(const char* name) const {
    auto found = json_.find(name);
    return found != json_.end() && found->is_number_integer() ? from_millis(found->get<std::int64_t>()) : Time{};
  }
  bool flag(const char* name) const {
    auto found = json_.find(name);
    return found != json_.end() && found->is_boolean() && found->get<bool>();
  }
  AlertLabels labels() const {
    AlertLabels labels;
    auto found = json_.find("labels");
    if (found == json_.end() || !found->is_object()) return labels;
    for (const auto& [name, wanted] : found->items())
      if (wanted.is_string()) labels.emplace_back(name, wanted.get<std::string>());
    return labels;
  }
  api::StageName stage() const { return {text("pipeline"), text("stage")}; }
  Silence silence() const {
    return {text("id"), text("rule"),    text("key"), time("from"), time("to"),
            text("by"), text("comment"), labels(),    flag("once")};
  }

  /// Begins an action, which answers once, and waits for that.
  template <class T, class Begin>
  Result<T> answer_of(Begin begin) const {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    std::future<Result<T>> answer = promise->get_future();
    begin([promise](Result<T> said) { promise->set_value(std::move(said)); });
    if (answer.wait_for(patience_) != std::future_status::ready)
      return unavailable("not yet done, as the stage is busy or the history waits for the disk; it may still be done");
    return answer.get();
  }

 private:
  Json json_;
  std::chrono::milliseconds patience_;
};

// Spelt out, as a Json is made of anything, even of a Result.
Result<Json> made(Json json) { return Result<Json>(boost::system::in_place_value, std::move(json)); }

template <class T>
Result<Json> list_of(const Result<std::vector<T>>& said, const char* name) {
  if (!said) return said.error();
  Json all = Json::array();
  for (const T& one : *said) all.push_back(api::json_of(one));
  return made({{name, std::move(all)}});
}

Result<Json> handle(api::AlertActions& actions, const Request& request) {
  const std::string command = request.text("command");
  if (command == "ack") {
    auto said = request.answer_of<std::vector<Acknowledged>>([&](auto done) {
      actions.acknowledge(
          request.stage(),
          {request.text("key"), request.text("rule"), request.text("incident"), request.text("by"), request.text("comment")},
          done);
    });
    return list_of(said, "alerts");
  }
  if (command == "comment") {
    auto said = request.answer_of<void>([&](auto done) {
      actions.comment(
          request.stage(),
          {request.text("rule"), request.text("key"), request.text("incident"), request.text("by"), request.text("comment")},
          done);
    });
    if (!said) return said.error();
    return made(Json::object());
  }
  if (command == "silence" || command == "unsilence") {
    auto said = request.answer_of<std::vector<api::KeptSilence>>([&](auto done) {
      command == "silence" ? actions.silence(request.stage(), request.silence(), done)
                           : actions.unsilence(request.stage(), request.silence(), done);
    });
    return list_of(said, "silences");
  }
  return invalid(fmt::format("unknown command '{}'", command));
}

}  // namespace

std::string answer_request(api::AlertActions& actions, std::string_view line, std::chrono::milliseconds patience) {
  Json request = Json::parse(line, nullptr, false);
  Result<Json> said = request.is_object() ? handle(actions, Request(std::move(request), patience))
                                          : Result<Json>(invalid("a request is a JSON object"));
  Json answer{{"ok", said.has_value()}};
  if (said)
    answer.update(*said);
  else
    answer["error"] = said.error().what;
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace millrace::cli
