#include "runner/http/files.h"

#include <fmt/core.h>
#include <openssl/sha.h>

#include <array>
#include <map>
#include <memory>

namespace millrace::http {
namespace {

constexpr std::string_view content_security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Entry {
  StaticFile file;
  std::string etag;
};

using Table = std::map<std::string_view, Entry>;

std::string etag_of(std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  std::string tag = "\"";
  for (std::size_t i = 0; i < 12; ++i) tag += fmt::format("{:02x}", digest[i]);
  return tag + '"';
}

bool accepts_gzip(const Request& request) {
  return request.header_has_token("Accept-Encoding",
                                  "gzip");  // a gzip with q=0 or another weight does not count: plain is safe
}

bool unchanged(const Request& request, const std::string& etag) {
  return request.header_has_token("If-None-Match", etag) || request.header_has_token("If-None-Match", "W/" + etag) ||
         request.header_has_token("If-None-Match", "*");
}

Response answer(const Table& files, const Request& request) {
  // Before the method: who posts to a wrong URL is to learn that it is wrong.
  auto found = files.find(request.path == "/" ? std::string_view("/index.html") : std::string_view(request.path));
  if (found == files.end()) return {.status = 404, .body = "There is nothing here.\n"};
  if (request.method != "GET" && request.method != "HEAD")
    return {.status = 405, .body = "Only GET and HEAD.\n", .headers = {{"Allow", "GET, HEAD"}}};

  const auto& [file, etag] = found->second;
  bool compressed = !file.gzip.empty() && accepts_gzip(request);
  std::string tag = compressed ? etag.substr(0, etag.size() - 1) + "-gz\"" : etag;
  Response response{.content_type = std::string(file.content_type),
                    .headers = {{"ETag", tag},
                                {"Cache-Control", file.immutable ? "public, max-age=31536000, immutable" : "no-cache"},
                                {"Content-Security-Policy", std::string(content_security_policy)},
                                {"Referrer-Policy", "no-referrer"}}};
  if (!file.gzip.empty()) response.headers.emplace_back("Vary", "Accept-Encoding");
  if (unchanged(request, tag)) {
    response.status = 304;
    return response;
  }
  if (compressed) response.headers.emplace_back("Content-Encoding", "gzip");
  response.lasting_body = compressed ? file.gzip : file.bytes;
  return response;
}

}  // namespace

Handler serve_files(std::span<const StaticFile> files) {
  auto table = std::make_shared<Table>();
  for (const StaticFile& file : files) table->emplace(file.path, Entry{file, etag_of(file.bytes)});
  return Routes::answering([table](const Request& request) { return answer(*table, request); });
}

}  // namespace millrace::http
