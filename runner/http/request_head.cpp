#include "runner/http/request_head.h"

#include <algorithm>
#include <array>

#include "runner/http/message.h"

namespace millrace::http {
namespace {

constexpr int ok = 0;
constexpr int bad_request = 400;
constexpr int not_implemented = 501;
constexpr int version_not_supported = 505;

bool is_token(std::string_view text) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           marks.find(c) != std::string_view::npos;
  });
}

bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

bool is_host(std::string_view host) {
  constexpr std::string_view allowed = "-._~%!$&'()*+,;=:[]";
  return std::all_of(host.begin(), host.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           allowed.find(c) != std::string_view::npos;
  });
}

int judge_request_line(std::string_view line) {
  auto first = line.find(' ');
  auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return bad_request;
  std::string_view target = line.substr(first + 1, last - first - 1);
  std::string_view version = line.substr(last + 1);
  if (!is_token(line.substr(0, first)) || target.empty()) return bad_request;
  if (std::any_of(target.begin(), target.end(), [](char c) { return c == ' ' || c == '\t' || is_control(c) || (c & 0x80); }))
    return bad_request;
  if (!version.starts_with("HTTP/") || version.size() != 8) return bad_request;
  return version == "HTTP/1.1" || version == "HTTP/1.0" ? ok : version_not_supported;
}

/// What matters for framing, gathered from the header lines.
struct Framing {
  int hosts = 0;
  int lengths = 0;
  int codings = 0;
  int status = ok;

  void refuse(int with) {
    if (status == ok) status = with;
  }

  void add(std::string_view line) {
    auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return refuse(bad_request);
    std::string_view name = line.substr(0, colon);
    std::string_view value = line.substr(colon + 1);
    if (std::any_of(value.begin(), value.end(), is_control)) return refuse(bad_request);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);

    if (equal_ignoring_case(name, "Host")) {
      if (++hosts > 1 || !is_host(value)) refuse(bad_request);
    } else if (equal_ignoring_case(name, "Content-Length")) {
      bool digits = !value.empty() && value.size() < 19 && value.find_first_not_of("0123456789") == std::string_view::npos;
      if (++lengths > 1 || !digits) refuse(bad_request);
    } else if (equal_ignoring_case(name, "Transfer-Encoding")) {
      if (++codings > 1) refuse(bad_request);
      if (!equal_ignoring_case(value, "chunked")) refuse(not_implemented);
    }
  }
};

}  // namespace

int judge_request_head(std::string_view head) {
  if (!head.ends_with("\r\n\r\n")) return bad_request;
  auto end = head.find("\r\n");
  std::string_view request_line = head.substr(0, end);
  if (int status = judge_request_line(request_line)) return status;

  Framing framing;
  std::string_view rest = head.substr(end + 2);
  while (rest != "\r\n") {
    end = rest.find("\r\n");
    if (end == 0 || end == std::string_view::npos) return bad_request;
    framing.add(rest.substr(0, end));
    rest.remove_prefix(end + 2);
  }
  if (framing.status != ok) return framing.status;
  bool old = request_line.ends_with("1.0");
  if (framing.hosts == 0 && !old) return bad_request;
  if (framing.codings != 0 && (framing.lengths != 0 || old)) return bad_request;
  return ok;
}

}  // namespace millrace::http
