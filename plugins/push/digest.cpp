#include "plugins/push/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cassert>
#include <span>

namespace millrace::push {
namespace {

std::string hex(std::span<const unsigned char> bytes) {
  std::string text;
  for (unsigned char byte : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

}  // namespace

std::string digest_of(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (std::string_view part : parts) fmt::format_to(std::back_inserter(all), "{}:{}", part.size(), part);
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  [[maybe_unused]] int done = EVP_Digest(all.data(), all.size(), out.data(), &size, EVP_sha256(), nullptr);
  assert(done == 1);  // SHA-256 fails only without memory
  return hex(std::span(out).first(16));
}

std::string hmac_of(std::string_view secret, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  [[maybe_unused]] auto* done = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                                     reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size);
  assert(done != nullptr);
  return hex(std::span(out).first(size));
}

}  // namespace millrace::push
