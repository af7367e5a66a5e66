#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runner/http/token.h"
#include "runner/stage/error.h"

namespace millrace::http {

/// The keys that sign and verify the tokens of an instance, in one file that only its owner can read. A line has a key's id and
/// its secret, apart by a space; empty lines and those that begin with # do not count. The first key signs, all verify.
/// Changing the file changes the keys of whatever runs on it within a second.
class TokenKeys {
 public:
  static constexpr std::size_t most_keys = 8;
  static constexpr std::size_t shortest_secret = 32;  ///< bytes, as many as the hash has (RFC 7518 section 3.2)

  using Keys = std::shared_ptr<const std::vector<SigningKey>>;

  /// `complain` is told, once for each change of the file, why it cannot be used. On the thread that asked for the keys.
  explicit TokenKeys(std::filesystem::path file, std::function<void(std::string_view)> complain = {})
      : file_(std::move(file)), complain_(std::move(complain)) {}

  /// Of an instance's data folder.
  static std::filesystem::path file_in(const std::filesystem::path& data_folder) { return data_folder / "token.keys"; }

  /// The keys as they stand, in a file that is made, mode 0600, with one key that nobody knows yet if it is absent. The file is
  /// looked at once a second at most. If it has become unusable the keys stay. Any thread.
  Result<Keys> keys();

  /// Puts a new key in front and keeps the one that has signed so far, so that its tokens hold until they expire; all others
  /// go. Twice in a row, no token that was ever minted holds. The file is made if it is absent.
  static Result<void> rotate(const std::filesystem::path& file);

  const std::filesystem::path& file() const { return file_; }

 private:
  struct Stamp;
  Result<Keys> read_if_changed();

  const std::filesystem::path file_;
  const std::function<void(std::string_view)> complain_;
  std::mutex mutex_;
  Keys keys_;
  std::shared_ptr<const Stamp> stamp_;  ///< of the file as it was read
  std::chrono::steady_clock::time_point looked_{};
};

}  // namespace millrace::http
