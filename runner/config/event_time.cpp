#include "runner/config/event_time.h"

#include <charconv>
#include <cmath>

namespace millrace::config {
namespace {

/// Reads a text from the left; once something did not fit, `good` stays false.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  int digits(std::size_t count) {
    int value = 0;
    if (text_.size() < count) good_ = false;
    for (std::size_t i = 0; good_ && i < count; ++i) {
      if (text_[i] < '0' || text_[i] > '9') good_ = false;
      value = value * 10 + (text_[i] - '0');
    }
    if (good_) text_.remove_prefix(count);
    return good_ ? value : 0;
  }

  bool accept(std::string_view any_of) {
    if (!good_ || text_.empty() || any_of.find(text_.front()) == std::string_view::npos) return false;
    taken_ = text_.front();
    text_.remove_prefix(1);
    return true;
  }
  void expect(std::string_view any_of) { good_ = accept(any_of) && good_; }

  /// The digits that follow, as a fraction of a second; at least one.
  Duration fraction() {
    std::int64_t value = 0;
    std::int64_t weight = 100'000;
    std::size_t count = 0;
    for (; count < text_.size() && text_[count] >= '0' && text_[count] <= '9'; ++count) {
      value += (text_[count] - '0') * weight;
      weight /= 10;
    }
    if (count == 0) good_ = false;
    text_.remove_prefix(count);
    return Duration(value);
  }

  char taken() const { return taken_; }
  bool good() const { return good_; }
  bool at_end() const { return text_.empty(); }

 private:
  std::string_view text_;
  char taken_ = 0;
  bool good_ = true;
};

constexpr Time earliest{std::chrono::sys_days{std::chrono::year{1} / 1 / 1}};
constexpr Time latest{std::chrono::sys_days{std::chrono::year{9999} / 12 / 31}};

std::int64_t micros_in(TimeUnit unit) {
  switch (unit) {
    case TimeUnit::seconds: return 1'000'000;
    case TimeUnit::milliseconds: return 1000;
    case TimeUnit::microseconds: break;
  }
  return 1;
}

std::optional<Time> from_number(const Value& value, TimeUnit unit) {
  double micros = *value.number() * static_cast<double>(micros_in(unit));
  double low = static_cast<double>(earliest.time_since_epoch().count());
  double high = static_cast<double>(latest.time_since_epoch().count());
  if (!(micros >= low && micros <= high)) return std::nullopt;
  if (value.type() == Type::integer) return Time{Duration(value.as_integer() * micros_in(unit))};
  return Time{Duration(std::llround(micros))};
}

}  // namespace

std::optional<Time> parse_rfc3339(std::string_view text) {
  Scanner in(text);
  int year = in.digits(4);
  in.expect("-");
  int month = in.digits(2);
  in.expect("-");
  int day = in.digits(2);
  in.expect("Tt ");
  int hour = in.digits(2);
  in.expect(":");
  int minute = in.digits(2);
  in.expect(":");
  int second = in.digits(2);
  Duration fraction = in.accept(".") ? in.fraction() : Duration::zero();
  in.expect("Zz+-");
  Duration offset{};
  if (in.good() && (in.taken() == '+' || in.taken() == '-')) {
    int sign = in.taken() == '-' ? -1 : 1;
    int hours = in.digits(2);
    in.expect(":");
    int minutes = in.digits(2);
    if (hours > 23 || minutes > 59) return std::nullopt;
    offset = sign * (std::chrono::hours(hours) + std::chrono::minutes(minutes));
  }
  if (!in.good() || !in.at_end() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return Time{std::chrono::sys_days{date}} + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + fraction - offset;
}

void EventTime::describe(Fields<EventTime>& f) {
  f.field("field", &EventTime::field)
      .doc("The field that holds the event time: a number from the epoch, or a text as RFC 3339 has it.")
      .required()
      .not_empty();
  f.choice("unit", &EventTime::unit, {{"s", TimeUnit::seconds}, {"ms", TimeUnit::milliseconds}, {"us", TimeUnit::microseconds}})
      .doc("What a number in the field counts.");
  f.shorthand("field");
}

std::optional<Time> EventTime::read(const Record& record) const {
  if (field.empty()) return std::nullopt;
  const Value* value = record.fields.find(field);
  if (!value) return std::nullopt;
  if (value->number()) return from_number(*value, unit);
  if (value->type() == Type::string) return parse_rfc3339(value->as_text());
  return std::nullopt;
}

void DeviceField::describe(Fields<DeviceField>& f) {
  f.field("field", &DeviceField::field).doc("The field that names the device: a text or an integer.").required().not_empty();
  f.shorthand("field");
}

std::string_view DeviceField::read(const Record& record, Arena& arena) const {
  if (field.empty()) return {};
  const Value* value = record.fields.find(field);
  if (!value) return {};
  if (value->type() == Type::string) return value->as_text();
  if (value->type() != Type::integer) return {};
  char digits[20];
  auto end = std::to_chars(digits, digits + sizeof digits, value->as_integer());
  return arena.copy({digits, static_cast<std::size_t>(end.ptr - digits)});
}

}  // namespace millrace::config
