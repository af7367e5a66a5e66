#include "web/files.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

namespace millrace::web {
namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("the executable carries every file of the page, byte for byte") {
  const std::filesystem::path dist = std::filesystem::path(MILLRACE_BINARY_DIR) / "web" / "dist";
  std::size_t on_disk = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dist)) on_disk += entry.is_regular_file() ? 1 : 0;
  CHECK(files().size() == on_disk);
  for (const http::StaticFile& file : files()) {
    INFO(file.path);
    CHECK((file.bytes == read(dist / file.path.substr(1))));
  }
}

TEST_CASE("the page, its script and its style are there, with their types, and compressed") {
  for (auto [path, type] :
       {std::pair{"/index.html", "text/html; charset=utf-8"}, std::pair{"/app.js", "text/javascript; charset=utf-8"},
        std::pair{"/app.css", "text/css; charset=utf-8"}}) {
    INFO(path);
    auto found = std::find_if(files().begin(), files().end(), [path = path](const auto& file) { return file.path == path; });
    REQUIRE(found != files().end());
    CHECK(found->content_type == type);
    REQUIRE(found->gzip.size() > 2);
    CHECK(found->gzip.size() < found->bytes.size());
    CHECK(found->gzip.substr(0, 2) == "\x1f\x8b");
  }
}

}  // namespace millrace::web
