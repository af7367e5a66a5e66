#include "runner/http/token_keys.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runner/http/base64url.h"

namespace millrace::http {
namespace {

constexpr auto look_every = std::chrono::seconds(1);
constexpr std::size_t largest_file = 64U << 10U;

Error cannot(const std::filesystem::path& file, std::string_view what) {
  return invalid(fmt::format("token keys {}: {}", file.string(), what));
}

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

SigningKey fresh_key() { return {.id = random_text(6), .secret = random_text(32)}; }

std::string text_of(const std::vector<SigningKey>& keys) {
  std::string text = "# Keys of this instance's tokens, one a line: its id, its secret. The first signs, all verify.\n";
  for (const SigningKey& key : keys) text += key.id + ' ' + key.secret + '\n';
  return text;
}

Result<std::vector<SigningKey>> parse(const std::filesystem::path& file, std::string_view text) {
  std::vector<SigningKey> keys;
  int number = 0;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    auto space = line.find(' ');
    if (space == 0 || space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
      return cannot(file, fmt::format("line {}: expected a key's id, one space and its secret", number));
    SigningKey key{.id = std::string(line.substr(0, space)), .secret = std::string(line.substr(space + 1))};
    if (key.secret.size() < TokenKeys::shortest_secret)
      return cannot(file, fmt::format("line {}: a secret needs at least {} characters", number, TokenKeys::shortest_secret));
    keys.push_back(std::move(key));
  }
  if (keys.empty()) return cannot(file, "there is no key in it; `millrace token --rotate` makes one");
  if (keys.size() > TokenKeys::most_keys) return cannot(file, fmt::format("there are more than {} keys", TokenKeys::most_keys));
  return keys;
}

/// Reads an open file, which nobody but its owner (and root) may be able to.
Result<std::vector<SigningKey>> read(const std::filesystem::path& file, const File& open) {
  struct stat about {};
  if (::fstat(open.get(), &about) != 0 || !S_ISREG(about.st_mode)) return cannot(file, "is no file");
  if ((about.st_mode & 077U) != 0)
    return cannot(file, fmt::format("others can read it; anybody who does can mint tokens: `chmod 600 {}`, and consider "
                                    "`millrace token --rotate`",
                                    file.string()));
  std::string text(largest_file + 1, '\0');
  ssize_t size = ::pread(open.get(), text.data(), text.size(), 0);
  if (size < 0) return cannot(file, fmt::format("cannot be read: {}", std::strerror(errno)));
  if (static_cast<std::size_t>(size) > largest_file) return cannot(file, "is too large");
  text.resize(static_cast<std::size_t>(size));
  return parse(file, text);
}

/// A file beside the wanted one, complete and on disk, that is renamed or linked into its place.
Result<std::filesystem::path> write_beside(const std::filesystem::path& file, const std::vector<SigningKey>& keys) {
  std::error_code error;
  if (file.has_parent_path() && !std::filesystem::exists(file.parent_path(), error)) {
    std::filesystem::create_directories(file.parent_path(), error);
    if (!error) std::filesystem::permissions(file.parent_path(), std::filesystem::perms::owner_all, error);
    if (error) return cannot(file, fmt::format("the folder cannot be made: {}", error.message()));
  }
  std::filesystem::path beside = file.string() + '.' + random_text(6);
  File made(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  std::string text = text_of(keys);
  if (made && ::write(made.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(made.get()) == 0)
    return beside;
  Error failed = cannot(file, fmt::format("cannot be written: {}", std::strerror(errno)));
  ::unlink(beside.c_str());
  return failed;
}

/// Makes the file with one key, unless somebody else does first.
Result<void> create(const std::filesystem::path& file) {
  auto beside = write_beside(file, {fresh_key()});
  if (!beside) return beside.error();
  bool linked = ::link(beside->c_str(), file.c_str()) == 0 || errno == EEXIST;
  int error = errno;
  ::unlink(beside->c_str());
  if (!linked) return cannot(file, fmt::format("cannot be made: {}", std::strerror(error)));
  return {};
}

}  // namespace

struct TokenKeys::Stamp {
  explicit Stamp(const struct stat& about)
      : inode(about.st_ino),
        mode(about.st_mode),
        size(about.st_size),
        seconds(about.st_mtim.tv_sec),
        nanoseconds(about.st_mtim.tv_nsec) {}
  ino_t inode;
  mode_t mode;
  off_t size;
  time_t seconds;
  long nanoseconds;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

Result<TokenKeys::Keys> TokenKeys::keys() {
  std::string problem;
  Result<Keys> keys = [&]() -> Result<Keys> {
    std::lock_guard lock(mutex_);
    auto now = std::chrono::steady_clock::now();
    if (keys_ && now - looked_ < look_every) return keys_;
    looked_ = now;
    auto fresh = read_if_changed();
    if (!fresh) problem = fresh.error().what;
    if (!fresh && !keys_) return fresh.error();
    if (fresh) keys_ = *fresh;
    return keys_;
  }();
  if (!problem.empty() && complain_) complain_(problem);
  return keys;
}

/// The keys that there are if the file is as it was, or was complained about as it is.
Result<TokenKeys::Keys> TokenKeys::read_if_changed() {
  struct stat about {};
  bool there = ::stat(file_.c_str(), &about) == 0;
  if (!there && errno == ENOENT && !keys_) {
    if (auto made = create(file_); !made) return made.error();
    there = ::stat(file_.c_str(), &about) == 0;
  }
  auto stamp = there ? std::make_shared<const Stamp>(about) : nullptr;
  if (keys_ && (stamp ? stamp_ && *stamp == *stamp_ : !stamp_)) return keys_;
  stamp_ = stamp;
  File open(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!open) return cannot(file_, fmt::format("cannot be opened: {}", std::strerror(errno)));
  auto fresh = read(file_, open);
  if (!fresh) return fresh.error();
  return std::make_shared<const std::vector<SigningKey>>(std::move(*fresh));
}

Result<void> TokenKeys::rotate(const std::filesystem::path& file) {
  while (true) {
    File open(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!open && errno != ENOENT) return cannot(file, fmt::format("cannot be opened: {}", std::strerror(errno)));
    if (!open) return create(file);
    // Two who rotate at once do so one after the other: who has waited finds that the file it holds is no longer the one there.
    struct stat held {
    }, there{};
    if (::flock(open.get(), LOCK_EX) != 0) return cannot(file, fmt::format("cannot be locked: {}", std::strerror(errno)));
    if (::fstat(open.get(), &held) != 0 || ::stat(file.c_str(), &there) != 0 || held.st_ino != there.st_ino) continue;
    auto keys = read(file, open);
    if (!keys) return keys.error();
    auto beside = write_beside(file, {fresh_key(), keys->front()});
    if (!beside) return beside.error();
    if (::rename(beside->c_str(), file.c_str()) == 0) return {};
    Error failed = cannot(file, fmt::format("cannot be replaced: {}", std::strerror(errno)));
    ::unlink(beside->c_str());
    return failed;
  }
}

}  // namespace millrace::http
