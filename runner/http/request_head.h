#pragma once

#include <string_view>

namespace millrace::http {

/// Judges the head of a request, from its first byte to the empty line inclusive, by one rule of framing (RFC 9112 sections 3,
/// 5 and 6.3), before anything else reads it: no two readers of the same bytes may disagree where a request ends. Returns 0 if
/// it is well-formed and unambiguous, else the status to answer with: 400, 501 for a transfer coding other than chunked, 505
/// for another version. A pure function.
int judge_request_head(std::string_view head);

}  // namespace millrace::http
