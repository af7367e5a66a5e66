#include "runner/stage/record.h"

#include <catch2/catch.hpp>
#include <string>

using namespace millrace;

TEST_CASE("a copied batch changes without the original") {
  Batch original;
  Record& r = original.append();
  r.device = original.arena().copy("porch");
  r.fields.push(original.arena(), "humidity", Value::integer(50));

  Batch copy = original.copy();
  copy.records[0].fields.set(copy.arena(), "humidity", Value::integer(60));
  copy.records[0].fields.push(copy.arena(), "added", Value::null());

  CHECK(original.records[0].fields.find("humidity")->as_integer() == 50);
  CHECK(original.records[0].fields.size() == 1);
  CHECK(copy.records[0].fields.find("humidity")->as_integer() == 60);
}

TEST_CASE("a copied batch outlives the original") {
  Batch copy;
  {
    Batch original;
    Record& r = original.append();
    r.device = original.arena().copy(std::string(5000, 'd'));
    copy = original.copy();
  }
  CHECK(copy.records[0].device == std::string(5000, 'd'));
}

TEST_CASE("a record copied into another batch shares nothing with its own") {
  Batch copy;
  {
    Batch original;
    Record& r = original.append();
    Arena& arena = original.arena();
    Value items[] = {Value::integer(1), Value::string(arena.copy("two"))};
    Value* kept = arena.allocate<Value>(2);
    std::copy(std::begin(items), std::end(items), kept);
    r.fields.push(arena, arena.copy("list"), Value::list({kept, 2}));
    copy.append_copy(r);
  }
  const Value* list = copy.records[0].fields.find("list");
  REQUIRE(list);
  CHECK(list->as_list()[1].as_text() == "two");
}

TEST_CASE("fields keep their order through set and erase") {
  Arena arena;
  FieldList fields;
  for (std::string_view name : {"a", "b", "c", "d", "e"}) fields.push(arena, name, Value::boolean(true));
  fields.set(arena, "b", Value::integer(2));
  CHECK(fields.erase("c"));
  CHECK_FALSE(fields.erase("c"));
  std::string names;
  for (const Field& f : fields) names += f.name;
  CHECK(names == "abde");
  CHECK(fields[1].value == Value::integer(2));
}

TEST_CASE("1 and 1.0 are different values, NaN equals itself") {
  CHECK_FALSE(Value::integer(1) == Value::real(1.0));
  CHECK(Value::real(std::numeric_limits<double>::quiet_NaN()) == Value::real(std::numeric_limits<double>::quiet_NaN()));
}
