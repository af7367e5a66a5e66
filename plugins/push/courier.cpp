#include "plugins/push/courier.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

namespace millrace::push {
namespace {

void initialise_curl() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  assert(done == CURLE_OK);
  (void)done;
}

/// Keeps the first words of an answer, for the operator, and lets the rest pass.
/// The beginning of an answer's body. The status says what became of the message: beyond `enough_to_read` the rest is not
/// waited for.
struct Body {
  static constexpr std::size_t enough_to_show = 200;
  static constexpr std::size_t enough_to_read = 64U << 10U;
  std::string excerpt;
  std::size_t received = 0;

  bool cut_short() const { return received > enough_to_read; }
};

std::size_t receive_body(char* data, std::size_t, std::size_t size, void* to) {
  auto& body = *static_cast<Body*>(to);
  body.received += size;
  for (std::size_t i = 0; i < size && body.excerpt.size() < Body::enough_to_show; ++i)
    body.excerpt += data[i] >= ' ' && data[i] < 0x7F ? data[i] : ' ';
  return body.cut_short() ? 0 : size;
}

}  // namespace

/// One request under way.
struct Courier::Transfer {
  Request request;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  Body body;
  std::array<char, CURL_ERROR_SIZE> failure{};

  Transfer(Request r, Duration timeout) : request(std::move(r)), easy(curl_easy_init()) {
    assert(easy != nullptr);
    for (const std::string& header : request.headers) headers = curl_slist_append(headers, header.c_str());
    headers = curl_slist_append(headers, "Expect:");  // a small body need not be asked for first
    auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
    curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(millis));
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "millrace");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &receive_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, failure.data());
    if (request.loopback) curl_easy_setopt(easy, CURLOPT_PROXY, "");
  }
  ~Transfer() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  Reply reply(CURLcode result) const {
    Reply reply{request.id};
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
    curl_header* header = nullptr;
    if (curl_easy_header(easy, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK) reply.retry_after = header->value;
    reply.error = body.excerpt;
    if (result != CURLE_OK && !(result == CURLE_WRITE_ERROR && body.cut_short())) {
      // An answer that broke off says nothing, whatever its status line.
      reply.status = 0;
      reply.error = failure[0] != '\0' ? failure.data() : curl_easy_strerror(result);
    }
    return reply;
  }
};

class Courier::Multi {
 public:
  Multi() : handle_(curl_multi_init()) {
    assert(handle_ != nullptr);
    curl_multi_setopt(handle_, CURLMOPT_MAX_HOST_CONNECTIONS, 4L);
  }
  ~Multi() {
    for (auto& transfer : transfers_) curl_multi_remove_handle(handle_, transfer->easy);
    transfers_.clear();
    curl_multi_cleanup(handle_);
  }
  Multi(const Multi&) = delete;
  Multi& operator=(const Multi&) = delete;

  void add(std::unique_ptr<Transfer> transfer) {
    curl_multi_add_handle(handle_, transfer->easy);
    transfers_.push_back(std::move(transfer));
  }

  std::vector<Reply> perform() {
    int running = 0;
    curl_multi_perform(handle_, &running);
    std::vector<Reply> replies;
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(handle_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* easy = message->easy_handle;
      CURLcode result = message->data.result;
      auto found = std::ranges::find(transfers_, easy, [](const auto& t) { return t->easy; });
      assert(found != transfers_.end());
      replies.push_back((*found)->reply(result));
      curl_multi_remove_handle(handle_, easy);
      transfers_.erase(found);
    }
    return replies;
  }

  void wait() { curl_multi_poll(handle_, nullptr, 0, 60'000, nullptr); }
  void wake() { curl_multi_wakeup(handle_); }

 private:
  CURLM* handle_;
  std::vector<std::unique_ptr<Transfer>> transfers_;
};

Courier::Courier(Options options) : options_(std::move(options)) {
  initialise_curl();
  multi_ = std::make_unique<Multi>();
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

Courier::~Courier() {
  thread_.request_stop();
  multi_->wake();
  thread_.join();
}

void Courier::submit(Request request) {
  {
    std::lock_guard lock(mutex_);
    submitted_.push_back(std::move(request));
  }
  multi_->wake();
}

std::vector<Reply> Courier::take() {
  std::lock_guard lock(mutex_);
  return std::exchange(replies_, {});
}

void Courier::wait(std::chrono::milliseconds deadline, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, stop, deadline, [this] { return !replies_.empty(); });
}

void Courier::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<Request> fresh;
    {
      std::lock_guard lock(mutex_);
      fresh.swap(submitted_);
    }
    for (Request& request : fresh) multi_->add(std::make_unique<Transfer>(std::move(request), options_.timeout));
    std::vector<Reply> replies = multi_->perform();
    if (replies.empty()) {
      multi_->wait();
      continue;
    }
    {
      std::lock_guard lock(mutex_);
      std::move(replies.begin(), replies.end(), std::back_inserter(replies_));
    }
    arrived_.notify_all();
    options_.wake();
  }
}

}  // namespace millrace::push
