#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::config {

/// A place in a file, both counted from 1; 0 where there is none.
struct Position {
  int line = 0;
  int column = 0;
};

struct Entry;

/// One node of a YAML file, with its place. Aliases are expanded (each copy at the place of the alias), merge keys applied.
class Node {
 public:
  enum class Kind { null, scalar, list, map };

  Kind kind = Kind::null;
  Position position;
  std::string text;            ///< of a scalar
  bool quoted = false;         ///< a scalar in quotes or a block: always text, never a number
  bool substituted = false;    ///< a variable was replaced in it: typed by what the field wants
  bool confidential = false;   ///< its text came from a file or a credential and must not be shown
  bool unknown = false;        ///< a variable in it has no value, which has been reported: whatever reads it says no more
  std::vector<Node> items;     ///< of a list
  std::vector<Entry> entries;  ///< of a map, in the file's order, without duplicates

  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_list() const { return kind == Kind::list; }
  bool is_map() const { return kind == Kind::map; }

  /// The value of a map's key, or null.
  const Node* find(std::string_view key) const;

  /// The node at the end of a way of keys and numbers of list items; the last one that there is on the way.
  const Node& along(std::initializer_list<std::string_view> path) const;

  /// What the node is, for messages: "a list", "'abc'", "nothing"; never a confidential text.
  std::string shown() const;
};

struct Entry {
  std::string key;
  Position position;
  Node value;
};

/// Something wrong in a file.
struct Problem {
  std::string file;
  Position position;
  std::string what;

  /// `file:line:column: what`
  std::string text() const;
};

/// Everything wrong in one file, in the order found, and the other files that it made us read.
class Problems {
 public:
  explicit Problems(std::filesystem::path file) : file_(std::move(file)) {}

  void add(Position at, std::string what);
  bool empty() const { return problems_.empty(); }
  std::size_t size() const { return problems_.size(); }
  const std::vector<Problem>& list() const { return problems_; }
  std::vector<Problem> in_order() const;  ///< of their places in the file

  const std::filesystem::path& file() const { return file_; }

  /// A path as the file means it: relative to the file.
  std::filesystem::path resolve(std::string_view path) const;

  /// The text of another file that the configuration names (a script, a list, a certificate), or a problem at `at`. The runner
  /// watches such files and reloads when they change or come. inputs() lists one entry a read, in order, well or not.
  bool read(std::string_view path, Position at, std::string& text);
  const std::vector<std::filesystem::path>& inputs() const { return inputs_; }

  /// The same of a file that somebody reads later, by himself.
  void watch(std::string_view path) { inputs_.push_back(resolve(path)); }

 private:
  std::filesystem::path file_;
  std::vector<Problem> problems_;
  std::vector<std::filesystem::path> inputs_;
};

/// The name that is closest to what was written, or null if none is close. Points into `known`.
const std::string* closest(std::string_view written, const std::vector<std::string>& known);

/// What a name stands for that is close to what was written, as "; did you mean 'x'?", or nothing.
std::string did_you_mean(std::string_view written, const std::vector<std::string>& known);

}  // namespace millrace::config
