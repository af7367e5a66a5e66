#include "plugins/signalr/upstream.h"

#include <curl/curl.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "runner/http/address.h"
#include "runner/http/message.h"
#include "runner/http/token.h"

namespace millrace::signalr {
namespace {

constexpr std::size_t threads = 4;
constexpr long attempt_seconds = 10;
constexpr std::array<std::chrono::seconds, 2> pauses{std::chrono::seconds(1), std::chrono::seconds(4)};

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("-._~").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

/// A header's value with nothing in it that could end it.
std::string header(std::string_view name, std::string_view value) {
  std::string line = std::string(name) + ": ";
  for (char c : value.substr(0, 4096)) line += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
  return line;
}

std::size_t keep_answer(char* bytes, std::size_t size, std::size_t count, void* into) {
  auto& body = *static_cast<std::string*>(into);
  if (body.size() + size * count > Upstream::largest_answer) return 0;
  body.append(bytes, size * count);
  return size * count;
}

/// Whether what is posted there stays on this machine, where no proxy of the environment is asked.
bool is_loopback(const std::string& url) {
  CURLU* parsed = curl_url();
  char* host = nullptr;
  bool loopback = curl_url_set(parsed, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
                  curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK;
  if (loopback) {
    std::string name = host;
    if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
    loopback = http::equal_ignoring_case(name, "localhost") || http::Address{.host = name}.loopback();
  }
  curl_free(host);
  curl_url_cleanup(parsed);
  return loopback;
}

int stop_asked(void* flag, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<std::atomic<bool>*>(flag)->load() ? 1 : 0;
}

bool names(const std::vector<std::string>& list, std::string_view name) {
  return list.empty() || std::find(list.begin(), list.end(), "*") != list.end() ||
         std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

bool UpstreamRule::matches(std::string_view category, std::string_view event) const {
  return names(categories, category) && names(events, event);
}

std::string upstream_signature(std::string_view connection, const std::vector<std::string>& keys) {
  std::string text;
  for (const std::string& key : keys) {
    if (!text.empty()) text += ',';
    text += "sha256=";
    for (char byte : http::hmac_sha256(key, connection)) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  return text;
}

std::string upstream_url(std::string_view url, const UpstreamEvent& event) {
  std::string made(url);
  for (auto [hole, value] : {std::pair<std::string_view, std::string_view>{"{hub}", event.hub},
                             {"{category}", event.category},
                             {"{event}", event.event}}) {
    std::string text = escaped(value);
    for (auto at = made.find(hole); at != std::string::npos; at = made.find(hole, at + text.size()))
      made.replace(at, hole.size(), text);
  }
  return made;
}

class Upstream::Impl {
 public:
  Impl(std::vector<UpstreamRule> rules, std::function<std::vector<std::string>()> keys)
      : rules_(std::move(rules)), keys_(std::move(keys)) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)ready;
    for (Worker& worker : workers_) worker.thread = std::thread([this, &worker] { work(worker); });
  }

  ~Impl() {
    stopping_ = true;
    for (Worker& worker : workers_) {
      {
        std::lock_guard lock(worker.mutex);
        worker.changed.notify_all();
      }
      worker.thread.join();
      // Whoever waits for an answer gets one, where it can take it.
      for (Task& task : worker.waiting)
        if (task.answered) task.answered({.status = 503});
    }
  }

  bool post(UpstreamEvent event, Answered answered) {
    auto rule =
        std::find_if(rules_.begin(), rules_.end(), [&](const auto& one) { return one.matches(event.category, event.event); });
    if (rule == rules_.end()) return false;
    Worker& worker = workers_[std::hash<std::string>{}(event.connection) % threads];
    std::unique_lock lock(worker.mutex);
    if (worker.waiting.size() >= most_waiting) {
      lock.unlock();
      counters.dropped.add();
      if (answered) answered({.status = 503});
      return true;
    }
    worker.waiting.push_back({std::move(event), &*rule, std::move(answered)});
    worker.changed.notify_all();
    return true;
  }

  Counters counters;

 private:
  struct Task {
    UpstreamEvent event;
    const UpstreamRule* rule;
    Answered answered;
  };
  struct Worker {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Task> waiting;
    std::thread thread;
  };

  void work(Worker& worker) {
    CURL* easy = curl_easy_init();
    while (true) {
      std::unique_lock lock(worker.mutex);
      worker.changed.wait(lock, [&] { return stopping_ || !worker.waiting.empty(); });
      if (stopping_) break;
      Task task = std::move(worker.waiting.front());
      worker.waiting.pop_front();
      lock.unlock();
      UpstreamAnswer answer = deliver(worker, easy, task);
      (answer.status >= 200 && answer.status < 300 ? counters.sent : counters.failed).add();
      if (task.answered) task.answered(std::move(answer));
    }
    curl_easy_cleanup(easy);
  }

  UpstreamAnswer deliver(Worker& worker, CURL* easy, const Task& task) {
    for (std::size_t attempt = 0;; ++attempt) {
      bool arrived = false;
      UpstreamAnswer answer = try_once(easy, task, arrived);
      bool again = answer.status == 429 || answer.status == 503 ||
                   (task.event.repeatable ? answer.status == 0 || answer.status >= 500 : answer.status == 0 && !arrived);
      if (!again || attempt == pauses.size() || stopping_) return answer;
      counters.retried.add();
      std::unique_lock lock(worker.mutex);
      worker.changed.wait_for(lock, pauses[attempt], [&] { return stopping_.load(); });
    }
  }

  UpstreamAnswer try_once(CURL* easy, const Task& task, bool& arrived) {
    const UpstreamEvent& event = task.event;
    UpstreamAnswer answer;
    curl_slist* headers = nullptr;
    for (const std::string& line :
         {header("X-ASRS-Connection-Id", event.connection), header("X-ASRS-Hub", event.hub),
          header("X-ASRS-Category", event.category), header("X-ASRS-Event", event.event), header("X-ASRS-User-Id", event.user),
          header("X-ASRS-User-Claims", event.claims), header("X-ASRS-Client-Query", event.query),
          header("X-ASRS-Signature", upstream_signature(event.connection, keys_())),
          std::string("Content-Type: application/json")})
      headers = curl_slist_append(headers, line.c_str());
    std::string url = upstream_url(task.rule->url, event);
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    if (is_loopback(url)) curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, attempt_seconds);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "millrace");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, event.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(event.body.size()));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &keep_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, &stop_asked);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &stopping_);
    CURLcode done = curl_easy_perform(easy);
    long status = 0, sent = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent);
    curl_slist_free_all(headers);
    arrived = sent > 0;
    answer.status = done == CURLE_OK ? static_cast<int>(status) : 0;
    return answer;
  }

  const std::vector<UpstreamRule> rules_;
  const std::function<std::vector<std::string>()> keys_;
  std::atomic<bool> stopping_ = false;
  std::array<Worker, threads> workers_;
};

Upstream::Upstream(std::vector<UpstreamRule> rules, std::function<std::vector<std::string>()> keys)
    : impl_(std::make_unique<Impl>(std::move(rules), std::move(keys))) {}
Upstream::~Upstream() = default;
bool Upstream::post(UpstreamEvent event, Answered answered) { return impl_->post(std::move(event), std::move(answered)); }
const Upstream::Counters& Upstream::counters() const { return impl_->counters; }

}  // namespace millrace::signalr
