#include "runner/stage/text_template.h"

#include <catch2/catch.hpp>

using namespace millrace;

namespace {

Result<std::string> filled(std::string_view text) {
  Batch batch;
  Record& record = batch.append();
  record.device = "porch";
  record.fields.push(batch.arena(), "room", Value::string("yard {2}"));
  record.fields.push(batch.arena(), "floor", Value::integer(-2));
  record.fields.push(batch.arena(), "open", Value::boolean(true));
  record.fields.push(batch.arena(), "level", Value::real(1.5));
  std::string out = ">";
  auto result = TextTemplate::parse(text).value().fill(record, out);
  return result ? Result<std::string>(out) : Result<std::string>(result.error());
}

}  // namespace

TEST_CASE("a template is filled with the record's device and fields, and what fills it is not looked at again") {
  CHECK(filled("device:{device}").value() == ">device:porch");
  CHECK(filled("{room}/{floor}/{open}").value() == ">yard {2}/-2/true");
  CHECK(filled("plain").value() == ">plain");
  CHECK(filled("").value() == ">");
}

TEST_CASE("a record without what a template needs is rejected, and the hole is named") {
  CHECK(filled("{absent}").error().kind == ErrorKind::rejected);
  CHECK(filled("{absent}").error().what == "'absent': there is no such field");
  CHECK(filled("{level}").error().what == "'level': it is no text, integer or bool");
}

TEST_CASE("braces that do not close, or hold nothing, are no template") {
  for (const char* text : {"a/{", "a/{}", "a}", "{a", "{a}}"}) {
    CAPTURE(text);
    CHECK(TextTemplate::parse(text).has_error());
  }
}
