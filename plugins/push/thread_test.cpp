#include <catch2/catch.hpp>
#include <string>

#include "plugins/push/message.h"

// Which of a rule's messages wait for each other, where it tells again (`repeat`) or of several keys at once (`group`).

using namespace millrace;
using push::Message;
using push::Template;

namespace {

struct Telling {
  std::string type, incident, key;
  std::string level = "warning";
};

Message message_of(const Telling& telling) {
  Batch batch;
  Arena& arena = batch.arena();
  Record& r = batch.append();
  r.kind = kind::notification;
  r.device = arena.copy(telling.key);
  for (auto [name, value] : {std::pair("id", telling.incident + "/" + telling.type), std::pair("type", telling.type),
                             std::pair("incident", telling.incident), std::pair("rule", std::string("wet")),
                             std::pair("key", telling.key), std::pair("level", telling.level)})
    r.fields.push(arena, name, Value::string(arena.copy(value)));
  return Message::from(r, Template(), Template(), "phone");
}

}  // namespace

TEST_CASE("an alert's repeats, rises and end, and its next opening, are told in their order") {
  const Message firing = message_of({"firing", "p/s/wet/a#1", "a"});
  for (const Telling& later : {Telling{"repeat", "p/s/wet/a#1", "a"}, Telling{"escalated", "p/s/wet/a#1", "a", "critical"},
                               Telling{"resolved", "p/s/wet/a#1", "a"}, Telling{"firing", "p/s/wet/a#2", "a"}}) {
    const Message message = message_of(later);
    CHECK(message.thread == firing.thread);
    CHECK(message.notification != firing.notification);
    CHECK(message.level == later.level);
  }
  CHECK(message_of({"firing", "p/s/wet/b#1", "b"}).thread != firing.thread);
}

TEST_CASE("messages of one group are told in their order, and wait for no other group of the rule") {
  const Message attic = message_of({"group_firing", "p/s/wet/attic#1", ""});
  CHECK(message_of({"group_repeat", "p/s/wet/attic#3", ""}).thread == attic.thread);
  CHECK(message_of({"group_resolved", "p/s/wet/attic#4", ""}).thread == attic.thread);
  CHECK(message_of({"group_firing", "p/s/wet/cellar#2", ""}).thread != attic.thread);
}

TEST_CASE("alerts of equal rule and key in two stages do not wait for each other") {
  CHECK(message_of({"firing", "p/upstairs/wet/a#1", "a"}).thread != message_of({"firing", "p/downstairs/wet/a#1", "a"}).thread);
}
