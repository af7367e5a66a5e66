#include "plugins/alert/formula.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <lua.hpp>
#include <optional>

#include "runner/config/node.h"
#include "runner/lua/interpreter.h"

namespace millrace::alert {

namespace {

constexpr lua::Limits limits{.memory = 4U << 20U, .instructions = 100'000};
constexpr const char* function = "value";

/// The tokens of a Lua text as far as calls of the view need them; comments and other tokens are passed over.
class Scanner {
 public:
  explicit Scanner(const std::string& text) : text_(text) {}

  struct Token {
    enum class Kind { end, name, text, sign } kind = Kind::end;
    std::string text;
    int line = 0;
  };

  Token next() {
    skip();
    if (at_ >= text_.size()) return {Token::Kind::end, "", line_};
    char c = text_[at_];
    if (std::isalpha(static_cast<unsigned char>(c)) || c == '_') return name();
    if (c == '"' || c == '\'') return quoted(c);
    if (auto level = long_bracket(at_)) return {Token::Kind::text, take_long(*level), line_};
    ++at_;
    return {Token::Kind::sign, std::string(1, c), line_};
  }

 private:
  void skip() {
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '\n') ++line_;
      if (std::isspace(static_cast<unsigned char>(c))) {
        ++at_;
      } else if (text_.compare(at_, 2, "--") == 0) {
        at_ += 2;
        if (auto level = long_bracket(at_))
          take_long(*level);
        else
          at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        return;
      }
    }
  }

  Token name() {
    std::size_t from = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
    return {Token::Kind::name, text_.substr(from, at_ - from), line_};
  }

  Token quoted(char quote) {
    std::string inside;
    for (++at_; at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n'; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      inside += text_[at_];
    }
    ++at_;
    return {Token::Kind::text, inside, line_};
  }

  /// The number of equal signs of a `[==[` that begins there.
  std::optional<std::size_t> long_bracket(std::size_t at) const {
    if (at >= text_.size() || text_[at] != '[') return std::nullopt;
    std::size_t level = 0;
    while (at + 1 + level < text_.size() && text_[at + 1 + level] == '=') ++level;
    if (at + 1 + level < text_.size() && text_[at + 1 + level] == '[') return level;
    return std::nullopt;
  }

  std::string take_long(std::size_t level) {
    std::size_t from = at_ + 2 + level;
    std::size_t end = std::min(text_.find("]" + std::string(level, '=') + "]", from), text_.size());
    std::string inside = text_.substr(std::min(from, text_.size()), end - std::min(from, text_.size()));
    for (char c : inside) line_ += c == '\n' ? 1 : 0;
    at_ = std::min(end + 2 + level, text_.size());
    return inside;
  }

  const std::string& text_;
  std::size_t at_ = 0;
  int line_ = 1;
};

Result<void> add(std::vector<Asked>& all, const std::string& field, const Aggregate& aggregate) {
  auto found = std::find_if(all.begin(), all.end(), [&](const Asked& a) { return a.field == field; });
  if (found == all.end()) found = all.insert(all.end(), {field, {}});
  for (const Aggregate& a : found->aggregates)
    if (a.name == aggregate.name) return {};
  found->aggregates.push_back(aggregate);
  return {};
}

/// The script's sandbox, with the view `w` in its registry.
class Sandbox {
 public:
  static Result<std::unique_ptr<Sandbox>> open(const std::string& script, const std::string& name,
                                               const std::vector<Asked>& asked) {
    auto opened = lua::Interpreter::open(limits, {[] { return Time{}; }, [](LogLevel, std::string_view) {}});
    if (!opened) return opened.error();
    std::unique_ptr<Sandbox> self(new Sandbox(std::move(*opened)));
    // On the first line, so that Lua's line numbers are the script's.
    if (auto ran = self->lua_->run(fmt::format("function {}(w) {}\nend", function, script), name); !ran)
      return invalid(ran.error().what);
    lua_State* L = self->lua_->state();
    lua_getglobal(L, function);
    self->function_ = luaL_ref(L, LUA_REGISTRYINDEX);
    self->make_view(asked);
    return self;
  }

  bool lost() const { return lua_->lost(); }

  Result<double> value(std::span<const double> figures) {
    lua_State* L = lua_->state();
    figures_ = figures;
    lua_->budget().refill();
    // Nothing here may ask for memory: there is nobody to catch the error yet.
    lua_rawgeti(L, LUA_REGISTRYINDEX, function_);
    lua_rawgeti(L, LUA_REGISTRYINDEX, view_);
    if (auto called = lua_->call(1, 1); !called) return called.error();
    int type = lua_type(L, -1);
    double value = type == LUA_TNUMBER ? lua_tonumber(L, -1) : null_value;
    lua_pop(L, 1);
    if (type == LUA_TNUMBER || type == LUA_TNIL) return value;
    return rejected(fmt::format("the script returned a {}, where a number or nil is expected", lua_typename(L, type)));
  }

 private:
  explicit Sandbox(std::unique_ptr<lua::Interpreter> lua) : lua_(std::move(lua)) { lua_->view = this; }

  static Sandbox& of(lua_State* L) { return *static_cast<Sandbox*>(lua::Interpreter::of(L).view); }

  static void push(lua_State* L, double figure) { is_null(figure) ? lua_pushnil(L) : lua_pushnumber(L, figure); }

  /// w.count and w:AGGREGATE(FIELD). Upvalue: what w knows by name, each a method.
  static int index(lua_State* L) {
    if (lua_type(L, 2) == LUA_TSTRING && std::string_view(lua_tostring(L, 2)) == "count") {
      // As a method it counts the numbers of a field.
      lua_pushvalue(L, 2);
      lua_rawget(L, lua_upvalueindex(1));
      if (lua_isnil(L, -1)) push(L, of(L).figures_[0]);
      return 1;
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isnil(L, -1)) return 1;
    return luaL_error(L, "w knows nothing called '%s'", luaL_tolstring(L, 2, nullptr));
  }

  /// Upvalues: the places of the figures by field; the aggregate's name.
  static int figure(lua_State* L) {
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    if (!lua_isinteger(L, -1))
      return luaL_error(L, "w:%s is asked for '%s', which the script names nowhere as a text in such a call",
                        lua_tostring(L, lua_upvalueindex(2)), luaL_tolstring(L, 2, nullptr));
    push(L, of(L).figures_[static_cast<std::size_t>(lua_tointeger(L, -1))]);
    return 1;
  }

  void make_view(const std::vector<Asked>& asked) {
    lua_State* L = lua_->state();
    lua_newuserdatauv(L, 0, 0);
    lua_newtable(L);  // its metatable
    lua_newtable(L);  // its methods
    std::size_t place = 1;
    for (const Asked& a : asked) {
      for (const Aggregate& aggregate : a.aggregates) {
        if (lua_getfield(L, -1, aggregate.name.c_str()) == LUA_TNIL) {
          lua_newtable(L);
          lua_pushstring(L, aggregate.name.c_str());
          lua_pushcclosure(L, figure, 2);
          lua_pushvalue(L, -1);
          lua_setfield(L, -4, aggregate.name.c_str());
          lua_remove(L, -2);
        }
        lua_getupvalue(L, -1, 1);
        lua_pushinteger(L, static_cast<lua_Integer>(place++));
        lua_setfield(L, -2, a.field.c_str());
        lua_pop(L, 2);
      }
    }
    lua_pushcclosure(L, index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    view_ = luaL_ref(L, LUA_REGISTRYINDEX);
  }

  std::unique_ptr<lua::Interpreter> lua_;
  std::span<const double> figures_;
  int function_ = LUA_NOREF, view_ = LUA_NOREF;
};

class LuaFormula final : public Formula {
 public:
  LuaFormula(std::string script, std::string name, std::vector<Asked> asked, std::unique_ptr<Sandbox> sandbox)
      : script_(std::move(script)), name_(std::move(name)), asked_(std::move(asked)), sandbox_(std::move(sandbox)) {}

  Result<double> value(std::span<const double> figures) override {
    if (!sandbox_ || sandbox_->lost()) {
      auto opened = Sandbox::open(script_, name_, asked_);
      if (!opened) return opened.error();
      sandbox_ = std::move(*opened);
    }
    return sandbox_->value(figures);
  }

 private:
  const std::string script_, name_;
  const std::vector<Asked> asked_;
  std::unique_ptr<Sandbox> sandbox_;
};

}  // namespace

Result<std::vector<Asked>> asked_by(const std::string& script) {
  using Kind = Scanner::Token::Kind;
  std::vector<Asked> all;
  bool counts_records = false;
  bool counts_numbers = false;
  Scanner scanner(script);
  Scanner::Token before, token = scanner.next();
  for (; token.kind != Kind::end; before = token, token = scanner.next()) {
    if (token.kind != Kind::sign || (token.text != ":" && token.text != ".")) continue;
    bool of_view = before.kind == Kind::name && before.text == "w";
    if (token.text == ".") {
      token = scanner.next();
      counts_records = counts_records || (of_view && token.text == "count");
      continue;
    }
    Scanner::Token method = scanner.next();
    if (method.kind != Kind::name) {
      token = method;
      continue;
    }
    Scanner::Token argument = scanner.next();
    if (argument.kind == Kind::sign && argument.text == "(") argument = scanner.next();
    auto aggregate = parse_aggregate(method.text);
    counts_numbers = counts_numbers || method.text == "count";
    if (aggregate && argument.kind == Kind::text) {
      if (auto added = add(all, argument.text, *aggregate); !added) return added.error();
    } else if (of_view && aggregate) {
      return invalid(fmt::format("line {}: w:{} needs the name of its field as a text, such as w:{}(\"temperature\")",
                                 method.line, method.text, method.text));
    } else if (of_view) {
      return invalid(fmt::format("line {}: there is no aggregate '{}'{}", method.line, method.text,
                                 config::did_you_mean(method.text, aggregate_names())));
    }
    token = argument;
  }
  if (counts_records && counts_numbers)
    return invalid("w.count, the number of records, and w:count(FIELD) exclude each other in one script");
  return all;
}

Result<std::shared_ptr<Formula>> make_formula(const std::string& script, const std::string& name) {
  auto asked = asked_by(script);
  if (!asked) return asked.error();
  auto sandbox = Sandbox::open(script, name, *asked);
  if (!sandbox) return sandbox.error();
  return std::shared_ptr<Formula>(std::make_shared<LuaFormula>(script, name, std::move(*asked), std::move(*sandbox)));
}

}  // namespace millrace::alert
