#include "plugins/mqtt_source/oversize.h"

#include <catch2/catch.hpp>

namespace {

using millrace::mqtt_source::Oversize;

TEST_CASE("of a message that is too large its size and its beginning are kept") {
  std::string payload = "7\n" + std::string(1'000'000, 'x');
  std::string packed = Oversize::pack(payload);
  CHECK(packed.size() < Oversize::kept + 20);
  Oversize message = Oversize::unpack(packed);
  CHECK(message.bytes == 1'000'002);
  CHECK(message.beginning == payload.substr(0, Oversize::kept));
}

TEST_CASE("the beginning never ends within a character") {
  std::string payload(Oversize::kept - 2, 'x');
  for (int i = 0; i < 100; ++i) payload += "\xE2\x82\xAC";
  CHECK(Oversize::unpack(Oversize::pack(payload)).beginning == payload.substr(0, Oversize::kept - 2));
  std::string noise(1000, '\x80');
  CHECK(Oversize::unpack(Oversize::pack(noise)).bytes == 1000);
}

}  // namespace
