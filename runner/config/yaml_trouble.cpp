#include "runner/config/yaml_trouble.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "runner/config/text_places.h"

namespace millrace::config {
namespace {

Position place(std::string_view text, const YAML::Mark& mark) { return TextPlaces(text).of(mark.line, mark.column); }

/// What is left of a text from a place on, which is counted from 0.
std::string_view from(std::string_view text, int line, int column) {
  for (; line > 0 && !text.empty(); --line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  text.remove_prefix(std::min(static_cast<std::size_t>(std::max(column, 0)), text.size()));
  return text;
}

constexpr std::string_view not_closed = "the quote that opens here is not closed";

/// What stands between the quotes that a text begins with, as written; up to its end where they do not close. Nothing if it
/// begins with none.
std::optional<std::string_view> within_quotes(std::string_view text) {
  if (!text.starts_with('"') && !text.starts_with('\'')) return std::nullopt;
  const char quote = text.front();
  text.remove_prefix(1);
  std::size_t end = 0;
  for (; end < text.size(); ++end) {
    if (quote == '"' && text[end] == '\\') {
      ++end;
    } else if (text[end] == quote) {
      if (quote == '"' || end + 1 == text.size() || text[end + 1] != quote) break;
      ++end;
    }
  }
  return text.substr(0, end);
}

/// Remembers where the last scalar began.
class LastScalar final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override { followed = true; }
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { followed = true; }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string&) override {
    begun = mark;
    followed = false;
  }
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    followed = true;
  }
  void OnSequenceEnd() override { followed = true; }
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    followed = true;
  }
  void OnMapEnd() override { followed = true; }

  std::optional<YAML::Mark> begun;
  bool followed = false;  ///< something else has come since
  std::string trouble;    ///< the library's words for what ended the parsing; empty if nothing did
};

LastScalar last_scalar_of(const std::string& text) {
  std::istringstream in(text);
  LastScalar last;
  try {
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(last)) {
    }
  } catch (const YAML::Exception& e) {
    last.trouble = e.msg;
  }
  return last;
}

/// Of a scalar that the library does not hand over: with a quote added at the text's end it does.
std::optional<YamlTrouble> open_quote_at_end(std::string_view text) {
  for (const char* quote : {"\"", "'"}) {
    LastScalar last = last_scalar_of(std::string(text) + quote);
    if (last.begun && last.trouble != YAML::ErrorMsg::EOF_IN_SCALAR)
      return YamlTrouble{place(text, *last.begun), std::string(not_closed)};
  }
  return std::nullopt;
}

/// A text in quotes that goes on over lines and after which more follows than can: it has taken the next one's quote for its
/// own end.
std::optional<YamlTrouble> overrun(std::string_view text, const LastScalar& last, const YAML::Exception& e) {
  if (last.followed) return std::nullopt;
  std::optional<std::string_view> quoted = within_quotes(from(text, last.begun->line, last.begun->column));
  if (!quoted) return std::nullopt;
  const auto lines = static_cast<int>(std::count(quoted->begin(), quoted->end(), '\n'));
  if (lines == 0 || last.begun->line + lines != e.mark.line) return std::nullopt;
  return YamlTrouble{place(text, *last.begun), "the text in quotes that begins here ends in line " +
                                                   std::to_string(e.mark.line + 1) +
                                                   ", where more follows: is its closing quote missing?"};
}

std::string remedy(std::string_view text, const YAML::Exception& e) {
  const std::string_view line = from(text, e.mark.line, 0);
  if (line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos)
    return "a tab cannot indent; use spaces";
  using namespace YAML::ErrorMsg;
  if (e.msg == END_OF_SEQ || e.msg == END_OF_MAP) return "this line is indented unlike those above that it belongs to";
  if (e.msg == MAP_VALUE)
    return "a ':' where none can be; put quotes around a text that holds ': ' or begins with '{', and indent alike what "
           "belongs together";
  if (e.msg == END_OF_MAP_FLOW) return e.msg + ": a '{' is not closed, or a text in it that holds '{' or '}' wants quotes";
  if (e.msg == END_OF_SEQ_FLOW) return e.msg + ": a '[' is not closed, or a text in it that holds one of []{}# wants quotes";
  if (e.msg == UNKNOWN_TOKEN || e.msg == ALIAS_NOT_FOUND || e.msg == ANCHOR_NOT_FOUND)
    return e.msg + ": a text that begins so wants quotes";
  return e.msg;
}

}  // namespace

std::optional<YamlTrouble> open_quote(std::string_view text, int line, int byte) {
  std::string_view scalar = from(text, line, byte);
  std::optional<std::string_view> quoted = within_quotes(scalar);
  if (!quoted || quoted->size() + 1 < scalar.size()) return std::nullopt;
  return YamlTrouble{TextPlaces(text).of(line, byte), std::string(not_closed)};
}

YamlTrouble trouble_of(std::string_view text, const YAML::Exception& e) {
  if (e.msg == YAML::ErrorMsg::EOF_IN_SCALAR)
    if (auto trouble = open_quote_at_end(text)) return *trouble;
  if (LastScalar last = last_scalar_of(std::string(text)); last.begun) {
    if (auto trouble = open_quote(text, last.begun->line, last.begun->column)) return *trouble;
    if (auto trouble = overrun(text, last, e)) return *trouble;
  }
  return {place(text, e.mark), remedy(text, e)};
}

}  // namespace millrace::config
