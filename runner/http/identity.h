#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::http {

/// What somebody may do on the client plane.
enum class Right : unsigned char {
  read = 1,     ///< see telemetry, alerts and their history
  ack = 2,      ///< acknowledge and silence alerts
  command = 4,  ///< make devices do things, send to clients
};

/// A set of rights.
class Rights {
 public:
  constexpr Rights() = default;
  constexpr Rights(std::initializer_list<Right> rights) {
    for (Right right : rights) bits_ |= static_cast<unsigned>(right);
  }
  static constexpr Rights all() { return {Right::read, Right::ack, Right::command}; }

  constexpr bool has(Right right) const { return (bits_ & static_cast<unsigned>(right)) != 0; }
  constexpr void add(Right right) { bits_ |= static_cast<unsigned>(right); }

  friend constexpr bool operator==(Rights, Rights) = default;

 private:
  unsigned bits_ = 0;
};

/// "read", "ack", "command"; nothing for another text.
std::optional<Right> right_named(std::string_view name);
std::vector<std::string_view> names_of(Rights rights);

/// Who asks, and what they may do: what a token says, or what a listener that asks for none lets everybody do.
struct Identity {
  static constexpr std::size_t most_groups = 100;
  static constexpr std::size_t longest_name = 1024;  ///< of a user, a group or a pattern, in bytes

  std::string user;                 ///< empty: nobody in particular
  std::vector<std::string> groups;  ///< patterns of the groups that may be joined; `*` stands for any text
  Rights rights;
  std::optional<Time> expires;  ///< nothing: for as long as they like
  std::string claims = {};      ///< the token's payload, JSON; empty without a token

  bool may(Right right) const { return rights.has(right); }
  bool may_join(std::string_view group) const;

  /// Whether there is no group that may not be joined.
  bool any_group() const;

  /// Everybody, where no token is asked for.
  static Identity anyone() { return {.groups = {"*"}, .rights = Rights::all()}; }
};

/// Whether `text` is what `pattern` describes, in which `*` stands for any text, also none. Takes time in proportion to their
/// product at worst.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace millrace::http
