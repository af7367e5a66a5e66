#pragma once

#include <boost/system/result.hpp>
#include <exception>
#include <ostream>
#include <string>
#include <utility>

namespace millrace {

/// What the runner does about an error depends on this alone.
enum class ErrorKind {
  invalid,      ///< wrong configuration or use: refuse to start
  rejected,     ///< this record cannot be handled: dead-letter it and count
  unavailable,  ///< the outside is away: connect again with full-jitter back-off, keep the batch
  overloaded,   ///< the outside asks for patience: slow the source, try the batch again
  finished,     ///< a source has no more input
};

/// Something that a network, a file, a user or a script caused. `what` is for the operator: it names the thing, what was
/// expected and what to do. The runner puts the stage's name in front.
struct Error {
  ErrorKind kind = ErrorKind::invalid;
  std::string what;
};

inline std::ostream& operator<<(std::ostream& out, const Error& error) { return out << error.what; }

template <class T>
using Result = boost::system::result<T, Error>;

/// Called by Result::value() on an error: asking for a value that is not there is a bug, and ends the process.
[[noreturn]] inline void throw_exception_from_error(const Error&, const boost::source_location&) { std::terminate(); }

inline Error invalid(std::string what) { return {ErrorKind::invalid, std::move(what)}; }
inline Error rejected(std::string what) { return {ErrorKind::rejected, std::move(what)}; }
inline Error unavailable(std::string what) { return {ErrorKind::unavailable, std::move(what)}; }
inline Error overloaded(std::string what) { return {ErrorKind::overloaded, std::move(what)}; }
inline Error finished() { return {ErrorKind::finished, "end of input"}; }

}  // namespace millrace
