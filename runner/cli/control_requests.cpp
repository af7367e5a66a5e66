#include "runner/cli/control_requests.h"

#include <fmt/format.h>

#include <future>
#include <memory>
#include <nlohmann/json.hpp>

#include "runner/stage/silence.h"

namespace millrace::cli {
namespace {

using Json = nlohmann::json;

constexpr std::chrono::seconds patience{5};

std::string text(const Json& request, const char* name) {
  auto found = request.find(name);
  return found != request.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

Result<void> acknowledge(supervise::Supervisor& supervisor, const Json& request) {
  std::string pipeline = text(request, "pipeline"), stage = text(request, "stage");
  auto answered = std::make_shared<std::promise<Result<void>>>();
  std::future<Result<void>> answer = answered->get_future();
  SystemClock clock;
  auto task = [answered, key = text(request, "key"), rule = text(request, "rule"), by = text(request, "by"),
               now = clock.now()](AnyStage& any) {
    auto* transform = std::get_if<std::unique_ptr<Transform>>(&any);
    auto* desk = transform ? dynamic_cast<AlertDesk*>(transform->get()) : nullptr;
    answered->set_value(desk ? desk->acknowledge(key, rule, by, now) : Result<void>(invalid("that stage keeps no alerts")));
  };
  if (!supervisor.post(pipeline, stage, std::move(task)))
    return invalid(fmt::format("no stage '{}' of a pipeline '{}' runs here", stage, pipeline));
  if (answer.wait_for(patience) != std::future_status::ready)
    return unavailable(fmt::format("the stage '{}' has not answered; it may still do what was asked", stage));
  return answer.get();
}

Silence silence_of(const Json& request) {
  auto time = [&](const char* name) {
    auto found = request.find(name);
    return found != request.end() && found->is_number_integer() ? from_millis(found->get<std::int64_t>()) : Time{};
  };
  return {text(request, "id"), text(request, "rule"), text(request, "key"),    time("from"),
          time("to"),          text(request, "by"),   text(request, "comment")};
}

// At every stage that keeps alerts, or the one that is named; well if one of them takes it.
Result<void> mute(supervise::Supervisor& supervisor, const Json& request, bool begins) {
  const std::string pipeline = text(request, "pipeline"), stage = text(request, "stage");
  const Silence silence = silence_of(request);
  using Answer = std::optional<Result<void>>;
  std::vector<std::pair<std::shared_ptr<std::promise<Answer>>, std::future<Answer>>> answers;
  SystemClock clock;
  for (const supervise::StageView& view : supervisor.views()) {
    if ((!pipeline.empty() && view.pipeline != pipeline) || (!stage.empty() && view.stage != stage)) continue;
    auto answered = std::make_shared<std::promise<Answer>>();
    auto answer = answered->get_future();
    auto task = [answered, silence, begins, now = clock.now()](AnyStage& any) {
      auto* transform = std::get_if<std::unique_ptr<Transform>>(&any);
      auto* desk = transform ? dynamic_cast<SilenceDesk*>(transform->get()) : nullptr;
      answered->set_value(!desk ? Answer{} : begins ? desk->silence(silence, now) : desk->unsilence(silence, now));
    };
    if (supervisor.post(view.pipeline, view.stage, std::move(task))) answers.emplace_back(answered, std::move(answer));
  }
  Result<void> result = invalid("no stage that keeps alerts runs here, or none of that name");
  bool accepted = false;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (auto& [promise, answer] : answers) {
    if (answer.wait_until(deadline) != std::future_status::ready) continue;  // it is not connected, or has ended meanwhile
    if (Answer said = answer.get(); said && !accepted) {
      result = *said;
      accepted = said->has_value();
    }
  }
  return result;
}

Result<void> handle(supervise::Supervisor& supervisor, std::string_view line) {
  Json request = Json::parse(line, nullptr, false);
  if (!request.is_object()) return invalid("a request is a JSON object");
  std::string command = text(request, "command");
  if (command == "ack") return acknowledge(supervisor, request);
  if (command == "silence" || command == "unsilence") return mute(supervisor, request, command == "silence");
  return invalid(fmt::format("unknown command '{}'", command));
}

}  // namespace

std::string answer_request(supervise::Supervisor& supervisor, std::string_view request) {
  Result<void> done = handle(supervisor, request);
  Json answer = {{"ok", done.has_value()}};
  if (!done) answer["error"] = done.error().what;
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace millrace::cli
