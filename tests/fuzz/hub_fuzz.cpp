#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broken.h"
#include "plugins/signalr/attachment.h"
#include "plugins/signalr/methods.h"
#include "runner/http/access.h"
#include "runner/http/routes.h"
#include "runner/http/token_keys.h"
#include "runner/http/websocket.h"

// A hub behind HTTP: negotiate, the three transports, REST. An input is a script, a command a line (see World::run); `^` stands
// for the separator of hub messages, `$0` to `$9` for the connections negotiated so far. Promises: every request is answered
// once, with a status that HTTP or Azure's interface has for it; what is negotiated is JSON; events are whole events and polls
// whole messages; a client that does not read holds a bounded queue; and when the hub goes, nothing of it is left.

namespace {

using namespace millrace;
using namespace millrace::signalr;

std::string current;

[[noreturn]] void broken(std::string_view promise) { millrace::fuzz::broken(promise, current); }

/// Runs what is posted when it is told to; timers are due at once then.
class ScriptLoop final : public http::Loop {
 public:
  void post(std::function<void()> task) override { posted_.push_back(std::move(task)); }

  http::Timer after(Clock::duration, std::function<void()> task) override {
    return http::Timer(std::make_unique<Waiting>(*this, std::move(task)));
  }

  void settle() {
    for (int rounds = 0; !posted_.empty(); ++rounds) {
      if (rounds > 100'000) broken("the hub comes to rest");
      for (auto& task : std::exchange(posted_, {})) task();
    }
  }

  void run_timers() {
    for (Waiting* timer : std::vector(timers_.begin(), timers_.end()))
      if (timers_.contains(timer)) timer->run();
  }

 private:
  class Waiting final : public http::Timer::Pending {
   public:
    Waiting(ScriptLoop& loop, std::function<void()> task) : loop_(loop), task_(std::move(task)) { loop_.timers_.insert(this); }
    ~Waiting() override { loop_.timers_.erase(this); }
    void run() {
      if (auto task = std::exchange(task_, nullptr)) task();
    }

   private:
    ScriptLoop& loop_;
    std::function<void()> task_;
  };

  std::vector<std::function<void()>> posted_;
  std::set<Waiting*> timers_;
};

/// The server's end of a connection that a transport has taken over.
struct Wire {
  std::string in;           ///< to be read by the hub
  std::string out;          ///< written by it
  std::size_t room = 4096;  ///< that it may still write
  bool ended = false;       ///< by the client
  bool held = true;         ///< the hub has not let go of it
  std::function<void()> readable, writable;

  void wake() {
    if (!in.empty() || ended)
      if (auto then = std::exchange(readable, nullptr)) then();
    if (held && (room > 0 || ended))
      if (auto then = std::exchange(writable, nullptr)) then();
  }
};

class WireStream final : public http::Stream {
 public:
  explicit WireStream(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  ~WireStream() override { wire_->held = false, wire_->readable = nullptr, wire_->writable = nullptr; }

  http::Io read(std::span<char> into) override {
    std::size_t bytes = wire_->in.copy(into.data(), into.size());
    wire_->in.erase(0, bytes);
    return {.bytes = bytes, .closed = bytes == 0 && wire_->ended};
  }
  http::Io write(std::span<const std::string_view> pieces) override {
    if (wire_->ended) return {.closed = true};
    std::size_t taken = 0;
    for (std::string_view piece : pieces) {
      std::string_view part = piece.substr(0, wire_->room);
      wire_->out += part;
      wire_->room -= part.size();
      taken += part.size();
      if (part.size() < piece.size()) break;
    }
    return {.bytes = taken};
  }
  void when_readable(std::function<void()> ready) override { wire_->readable = std::move(ready); }
  void when_writable(std::function<void()> ready) override { wire_->writable = std::move(ready); }
  void limit_send_buffer(std::size_t) override {}
  void end_writing() override {}
  void close() override { wire_->ended = true; }

 private:
  std::shared_ptr<Wire> wire_;
};

/// One request's other end.
struct Asked final : http::Exchange::Peer {
  std::function<void(const http::Response&)> answer;
  std::vector<std::shared_ptr<Wire>>* wires = nullptr;
  bool events = false;
  bool done = false;
  std::function<void()> gone;

  void finish() {
    if (std::exchange(done, true)) broken("a request is answered once");
    gone = nullptr;
  }
  void respond(http::Response response) override {
    finish();
    answer(response);
  }
  std::unique_ptr<http::Stream> take_over(std::string_view head) override {
    finish();
    if (!head.starts_with("HTTP/1.1 ") || head.find("\r\n\r\n") == std::string_view::npos) broken("a head is complete");
    auto wire = std::make_shared<Wire>();
    wires->push_back(wire);
    return std::make_unique<WireStream>(wire);
  }
  void when_gone(std::function<void()> then) override { gone = std::move(then); }
};

/// Gone when the process ends.
struct Folder {
  std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("millrace-fuzz-{}", ::getpid());
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
};

/// A key that is the same all through the process.
std::shared_ptr<http::TokenKeys> keys() {
  static const Folder folder;
  static const auto made = std::make_shared<http::TokenKeys>(http::TokenKeys::file_in(folder.path));
  return made;
}

class World {
 public:
  World() {
    HubOptions options;
    options.plain = "/hubs/telemetry/ws";
    options.rest = "telemetry";
    options.client_queue = 4096;
    options.max_connections = 8;
    options.message_rate = 20;
    options.series = 8;
    options.replay_bytes = 2000;
    options.close_timeout = HubOptions::Time(0);  // at the second look at the clock
    options.origins = {"https://plant.example"};
    options_ = options;
    held_ = Attachment::attach(routes_, options, "p", "live", add_telemetry_methods).value();
    loop_->settle();
  }

  ~World() {
    held_.reset();
    loop_->settle();
    for (const auto& wire : wires_) wire->ended = true, wire->in.clear(), wire->wake();
    loop_->settle();
    for (const auto& asked : asked_)
      if (auto gone = std::exchange(asked->gone, nullptr)) gone();
    for (int i = 0; i < 3; ++i) {
      loop_->run_timers();
      loop_->settle();
    }
    for (const auto& asked : asked_)
      if (!asked->done) broken("every request is answered in the end");
    for (const auto& wire : wires_)
      if (wire->held) broken("a hub that goes lets go of its connections");
  }

  ///   R METHOD TARGET|Name: value;Name: value|BODY   a request
  ///   M N TEXT    a masked text frame from the client of connection N, B for a binary one
  ///   S N BYTES   bytes from there as they are
  ///   W N COUNT   it reads so many bytes more
  ///   E N         it ends
  ///   G N         the client of request N goes away
  ///   P DEVICE, A DEVICE   telemetry, an alert
  ///   T           time passes
  void run(std::string_view line) {
    if (line.size() < 2 && line != "T") return;
    std::string_view rest = line.size() > 2 ? line.substr(2) : std::string_view{};
    switch (line[0]) {
      case 'R': request(rest); break;
      case 'M': feed(rest, 0x81); break;
      case 'B': feed(rest, 0x82); break;
      case 'S': feed(rest, 0); break;
      case 'W': allow(rest); break;
      case 'E':
        if (auto wire = wire_of(rest)) wire->ended = true, wire->wake();
        break;
      case 'G':
        if (asked_.empty()) break;
        if (auto gone = std::exchange(asked_[number(rest) % asked_.size()]->gone, nullptr)) gone();
        break;
      case 'P':
      case 'A': publish(rest, line[0] == 'A'); break;
      case 'T': loop_->run_timers(); break;
      default: return;
    }
    loop_->settle();
    watch();
  }

 private:
  static std::size_t number(std::string_view& text) {
    std::size_t value = 0;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9' && value < 100'000) {
      value = value * 10 + static_cast<std::size_t>(text[0] - '0');
      text.remove_prefix(1);
    }
    if (!text.empty()) text.remove_prefix(1);
    return value;
  }

  std::shared_ptr<Wire> wire_of(std::string_view& text) {
    std::size_t which = number(text);
    return wires_.empty() ? nullptr : wires_[which % wires_.size()];
  }

  static std::string unescaped(std::string_view text) {
    std::string bytes(text);
    for (char& c : bytes)
      if (c == '^') c = record_separator;
    return bytes;
  }

  void feed(std::string_view text, unsigned char opcode) {
    auto wire = wire_of(text);
    if (!wire || wire->ended) return;
    std::string bytes = unescaped(text);
    if (opcode != 0) {
      wire->in += static_cast<char>(opcode);
      if (bytes.size() < 126) {
        wire->in += static_cast<char>(0x80U | bytes.size());
      } else {
        wire->in += '\xFE';
        wire->in += static_cast<char>(bytes.size() >> 8U);
        wire->in += static_cast<char>(bytes.size());
      }
      wire->in.append(4, '\0');
    }
    wire->in += bytes;
    wire->wake();
  }

  void allow(std::string_view text) {
    auto wire = wire_of(text);
    if (!wire) return;
    wire->room += number(text);
    wire->wake();
  }

  void publish(std::string_view device, bool alert) {
    Batch batch;
    Record& record = batch.append();
    record.device = device;
    record.fields.push(batch.arena(), "key", Value::string(device));
    if (alert) record.kind = kind::alert;
    held_->hub().publish(std::make_shared<const Publication>(batch, "telemetry"));
  }

  std::string with_tokens(std::string_view text) const {
    std::string made;
    for (std::size_t i = 0; i < text.size(); ++i) {
      bool hole = text[i] == '$' && i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9' && !tokens_.empty();
      if (hole) made += tokens_[static_cast<std::size_t>(text[++i] - '0') % tokens_.size()];
      if (!hole) made += text[i];
    }
    return made;
  }

  static std::string_view cut(std::string_view& text, char at) {
    std::string_view piece = text.substr(0, text.find(at));
    text.remove_prefix(std::min(text.size(), piece.size() + 1));
    return piece;
  }

  void request(std::string_view text) {
    http::Request request{.method = std::string(cut(text, ' ')), .loopback_listener = true};
    std::string target = with_tokens(cut(text, '|'));
    std::string_view path(target);
    auto decoded = http::percent_decode(cut(path, '?'), false);
    if (!decoded) return;  // the listener refuses it
    request.path = *decoded;
    request.query = path;
    std::string_view headers = cut(text, '|');
    while (!headers.empty()) {
      std::string_view header = cut(headers, ';');
      std::string_view name = cut(header, ':');
      while (header.starts_with(' ')) header.remove_prefix(1);
      std::string value(header);
      if (value == "Bearer command") value = "Bearer " + bearer();
      request.headers.emplace_back(name, value);
    }
    request.body = unescaped(text);
    auto handler = routes_.find(request.path);
    if (!handler) return;
    auto asked = std::make_shared<Asked>();
    asked->wires = &wires_;
    asked->answer = [this, path = request.path](const http::Response& response) { check(path, response); };
    asked_.push_back(asked);
    handler(request, http::Exchange(asked));
  }

  std::string bearer() const {
    http::Identity backend{.user = "backend", .groups = {"*"}, .rights = http::Rights::all()};
    return access_->mint(backend, http::client_plane, 10min).value().token;
  }

  void check(const std::string& path, const http::Response& response) {
    static const std::set<int> known{200, 202, 204, 400, 401, 403, 404, 405, 409, 426, 429, 503};
    if (!known.contains(response.status)) broken(fmt::format("status {} is none of the hub's", response.status));
    for (const auto& [name, value] : response.headers)
      if (name.find_first_of("\r\n:") != std::string::npos || value.find_first_of("\r\n") != std::string::npos)
        broken("a header is one line");
    if (response.content_type == "application/json") {
      auto body = nlohmann::json::parse(response.body, nullptr, false);
      if (body.is_discarded()) broken("what says it is JSON is JSON");
      if (path.ends_with("negotiate") && body.contains("connectionId"))
        tokens_.push_back(body.value("connectionToken", body["connectionId"].get<std::string>()));
    }
    bool poll = response.content_type == "application/octet-stream";
    // A MessagePack client's polls are not told apart here: what begins as JSON does must end so.
    if (poll && response.body.starts_with('{') && !response.body.ends_with(record_separator))
      broken("a poll has whole messages");
  }

  void watch() {
    if (held_->hub().counters().clients.value() > options_.max_connections) broken("no more clients than may be");
    held_->hub().each([&](Connection& one) {
      // Besides the limit: the last words, what was let into an empty queue, and what a call of its own was answered.
      if (one.queue().bytes() > options_.client_queue + (64U << 10U)) broken("a queue is bounded");
    });
  }

  HubOptions options_;
  std::shared_ptr<ScriptLoop> loop_ = std::make_shared<ScriptLoop>();
  std::shared_ptr<const http::Access> access_ = std::make_shared<const http::Access>(false, keys());
  http::Routes routes_{loop_, access_};
  std::vector<std::shared_ptr<Wire>> wires_;
  std::vector<std::shared_ptr<Asked>> asked_;
  std::vector<std::string> tokens_;
  std::unique_ptr<Attachment> held_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view script(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 64U << 10U));
  current = script;
  World world;
  for (int commands = 0; !script.empty() && commands < 200; ++commands) {
    std::string_view line = script.substr(0, script.find('\n'));
    script.remove_prefix(std::min(script.size(), line.size() + 1));
    world.run(line);
  }
  return 0;
}
