#pragma once

#include <cstdint>

namespace millrace::test {

/// A TCP port of 127.0.0.1 that nobody uses, for what cannot bind port 0 itself.
std::uint16_t free_port();

}  // namespace millrace::test
