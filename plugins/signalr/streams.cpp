#include "plugins/signalr/streams.h"

#include <utility>

namespace millrace::signalr {
namespace {

constexpr auto gone = "The client has gone.";

}  // namespace

void Cancellation::request() {
  if (std::exchange(requested, true)) return;
  if (auto call = std::exchange(then, nullptr)) call();
}

std::shared_ptr<Cancellation> Streams::begin(const std::string& id) {
  if (downloads_.size() >= most) return nullptr;
  auto [place, fresh] = downloads_.try_emplace(id);
  if (!fresh) return nullptr;
  place->second = std::make_shared<Cancellation>();
  return place->second;
}

bool Streams::cancel(const std::string& id) {
  auto stream = downloads_.extract(id);
  if (stream.empty()) return false;
  stream.mapped()->request();
  return true;
}

bool Streams::receive(const std::string& id, Upload upload) {
  if (uploads_.size() >= most) return false;
  return uploads_.try_emplace(id, std::make_shared<Upload>(std::move(upload))).second;
}

void Streams::item(const std::string& id, nlohmann::json item) {
  auto found = uploads_.find(id);
  if (found == uploads_.end()) return;
  auto upload = found->second;
  if (upload->item) upload->item(std::move(item));
}

void Streams::complete(const std::string& id, nlohmann::json value, std::optional<std::string> error) {
  if (auto call = expected_.extract(id); !call.empty()) return call.mapped()({std::move(value), std::move(error)});
  auto upload = uploads_.extract(id);
  if (!upload.empty() && upload.mapped()->end) upload.mapped()->end(std::move(error));
}

std::optional<std::string> Streams::expect(std::function<void(ClientResult)> answered) {
  if (expected_.size() >= most) return std::nullopt;
  // No client numbers its own streams like this.
  std::string id = "s" + std::to_string(++calls_);
  expected_.emplace(id, std::move(answered));
  return id;
}

void Streams::drained() {
  for (auto& call : std::exchange(waiting_, {})) call();
}

void Streams::abandon() {
  waiting_.clear();
  for (auto& [id, stream] : std::exchange(downloads_, {})) stream->request();
  for (auto& [id, upload] : std::exchange(uploads_, {}))
    if (upload->end) upload->end(gone);
  for (auto& [id, answered] : std::exchange(expected_, {})) answered({.error = gone});
}

}  // namespace millrace::signalr
