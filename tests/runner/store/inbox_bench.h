#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "runner/store/inbox.h"

/// An inbox under test, small enough to be full soon.
namespace millrace::store::bench {

namespace fs = std::filesystem;

constexpr std::uint64_t first = 1000;

inline Inbox::Options small(std::vector<std::string>* logs = nullptr) {
  Inbox::Options options;
  options.limit = 512U << 10U;  // eight segments of 64 KiB
  options.first_sequence = first;
  if (logs) options.log = [logs](LogLevel, std::string_view text) { logs->emplace_back(text); };
  return options;
}

inline std::unique_ptr<Inbox> open(const fs::path& folder, Inbox::Options options = small()) {
  auto inbox = Inbox::open(folder, std::move(options));
  if (!inbox) FAIL(inbox.error().what);
  return std::move(*inbox);
}

inline std::uint64_t append(Inbox& inbox, std::string_view payload) {
  auto sequence = inbox.append("devices/a/messages", payload, Time{Duration{42}}, 3);
  if (!sequence) FAIL(sequence.error().what);
  return *sequence;
}

struct Read {
  std::uint64_t sequence;
  std::string payload;
  bool operator==(const Read&) const = default;
};

inline std::vector<Read> read_some(Inbox& inbox, std::size_t most = 100'000) {
  std::vector<Inbox::Message> messages;
  auto done = inbox.read(messages, most);
  if (!done) FAIL(done.error().what);
  std::vector<Read> all;
  for (const auto& m : messages) all.push_back({m.sequence, std::string(m.payload)});
  return all;
}

inline std::vector<Read> read_all(Inbox& inbox) {
  std::vector<Read> all;
  for (auto some = read_some(inbox); !some.empty(); some = read_some(inbox)) all.insert(all.end(), some.begin(), some.end());
  return all;
}

inline std::vector<fs::path> segments(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".log") found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

inline std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write(const fs::path& path, std::string_view bytes) {
  // Over what is there, then shortened: making a file anew each time would take the disk longer than the test.
  if (!fs::exists(path)) std::ofstream(path, std::ios::binary).flush();
  std::fstream(path, std::ios::binary | std::ios::in | std::ios::out)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  fs::resize_file(path, bytes.size());
}

}  // namespace millrace::store::bench
