#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/error.h"
#include "runner/stage/record.h"
#include "runner/stage/text_template.h"

namespace millrace::signalr {

/// Whom a message is for.
enum class Reach : std::uint8_t {
  interested,  ///< who has not subscribed to anything, and the members of the groups that the record itself belongs to
  all,
  group,
  user,
  connection,
};

/// Who gets a message: those within reach but for some connections.
struct Audience {
  Reach reach = Reach::interested;
  std::string name = {};                 ///< of the group, user or connection
  std::vector<std::string> except = {};  ///< ids of connections

  bool excepts(std::string_view connection) const;
  friend bool operator==(const Audience&, const Audience&) = default;
};

/// How records become the arguments of the client's method.
enum class Shape : std::uint8_t {
  list,       ///< one argument: the list of the records
  object,     ///< a call for each record, with the record as its argument
  text,       ///< a call for each record, with its JSON text as the argument
  list_text,  ///< one argument: the JSON text of the list
};

/// What a message goes out as: to whom, to which method of theirs, in which form.
struct Channel {
  std::string target;
  Shape shape = Shape::list;
  Audience audience = {};

  friend bool operator==(const Channel&, const Channel&) = default;

  /// Differs where target or audience do.
  std::string key() const;
};

/// A pipeline's `to`: the audience of each record.
struct Addressing {
  Reach reach = Reach::all;
  TextTemplate name = {};
  std::vector<TextTemplate> except = {};

  Result<Audience> of(const Record& record) const;
};

inline constexpr std::size_t longest_group = 1024;  ///< bytes of a group's, user's or connection's name

}  // namespace millrace::signalr
