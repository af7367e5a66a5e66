#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runner/cli/commands.h"
#include "runner/config/values.h"
#include "runner/http/token.h"
#include "runner/http/token_keys.h"

namespace millrace::cli {
namespace {

constexpr Duration longest_life = 24h * 3660;

struct TokenOptions {
  std::string data = "millrace-data";
  std::string keys;
  std::string user;
  std::vector<std::string> groups{"*"};
  std::vector<std::string> rights{"read"};
  std::string lifetime = "1d";
  std::string audience{http::client_plane};
  bool rotate = false;

  std::filesystem::path file() const { return keys.empty() ? http::TokenKeys::file_in(data) : std::filesystem::path(keys); }
};

/// What was asked for; an error is wrong use.
Result<http::Identity> identity_of(const TokenOptions& given, Time now) {
  auto lifetime = config::parse_duration(given.lifetime);
  if (!lifetime) return invalid(fmt::format("--ttl: expected {}, got '{}'", lifetime.error().what, given.lifetime));
  if (*lifetime < 1s || *lifetime > longest_life) return invalid("--ttl: expected 1s to 3660d");
  http::Identity identity{.user = given.user, .groups = given.groups};
  identity.expires = now + *lifetime;
  for (const std::string& name : given.rights) {
    auto right = http::right_named(name);
    if (!right) return invalid(fmt::format("--right: there is no right '{}'; expected read, ack or command", name));
    identity.rights.add(*right);
  }
  auto too_long = [](const std::string& name) { return name.empty() || name.size() > http::Identity::longest_name; };
  if (given.user.size() > http::Identity::longest_name || std::any_of(given.groups.begin(), given.groups.end(), too_long))
    return invalid(fmt::format("a user or group has 1 to {} bytes", http::Identity::longest_name));
  if (given.groups.size() > http::Identity::most_groups)
    return invalid(fmt::format("--group: at most {} patterns", http::Identity::most_groups));
  return identity;
}

Result<std::string> mint(const TokenOptions& given, const http::Identity& identity, Time now) {
  auto keys = http::TokenKeys(given.file()).keys();
  if (!keys) return keys.error();
  return http::mint_token((*keys)->front(), identity, given.audience, now);
}

int token(const TokenOptions& given) {
  auto fail = [](const Error& error, Status status = failed) {
    fmt::print(stderr, "millrace token: {}\n", error.what);
    return status;
  };
  if (given.rotate) {
    if (auto rotated = http::TokenKeys::rotate(given.file()); !rotated) return fail(rotated.error());
    fmt::print(stderr,
               "A new key signs from now on; tokens of the one before it hold until they expire, older ones no more.\n");
    return done;
  }
  Time now = SystemClock().now();
  auto identity = identity_of(given, now);
  if (!identity) return fail(identity.error(), wrong_use);
  const bool fresh = !std::filesystem::exists(given.file());
  auto minted = mint(given, *identity, now);
  if (!minted) return fail(minted.error());
  if (fresh)
    fmt::print(stderr, "millrace token: made new keys in {}; only an instance that reads them takes this token\n",
               given.file().string());
  fmt::print("{}\n", *minted);
  return done;
}

}  // namespace

void add_token(CLI::App& app, Program& program) {
  auto given = std::make_shared<TokenOptions>();
  CLI::App* command = app.add_subcommand("token", "Mint a token for a client, or rotate the keys that sign them.");
  command->add_option("--user", given->user, "Who its bearer is");
  command
      ->add_option("--group", given->groups,
                   "A group that may be joined, such as device:porch; * stands for any text. Once or more")
      ->capture_default_str();
  command->add_option("--right", given->rights, "read, ack (acknowledge alerts), command (send). Once or more")
      ->check(CLI::IsMember({"read", "ack", "command"}))
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--ttl", given->lifetime, "How long it is good, such as 12h or 30d")->capture_default_str();
  command->add_option("--audience", given->audience, "What it is for: everything, or the URL of one REST request")
      ->capture_default_str();
  command->add_option("--data", given->data, "The data folder, whether an instance runs on it or not")
      ->check(is_named)
      ->capture_default_str();
  command->add_option("--keys", given->keys, "File of the keys, where a pipeline's `listen` names one");
  command->add_flag("--rotate", given->rotate, "Sign with a new key from now on; the one before it still verifies");
  command->callback([given, &program] { program.status = token(*given); });
}

}  // namespace millrace::cli
