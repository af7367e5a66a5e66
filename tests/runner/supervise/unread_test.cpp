#include "runner/supervise/unread.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::supervise;

namespace {

struct Fixture {
  test::TempFolder data;
  store::Inboxes inboxes;
  graph::Pipeline porch = pipeline("porch");

  static graph::Pipeline pipeline(const std::string& name) {
    graph::Pipeline made;
    made.name = name;
    made.stages.resize(2);
    made.stages[0].id = "devkit";
    made.stages[1].id = "kept";
    made.stages[1].from = {0};
    return made;
  }
  void keep(const std::string& folder, int messages) {
    auto log = store::Inbox::open(data.path() / folder).value();
    for (int i = 0; i < messages; ++i) REQUIRE(log->append("", "x", Time{}).has_value());
  }
  std::vector<std::string> unread() {
    std::vector<std::string> found;
    for (const UnreadLog& log : unread_logs(data.path(), {&porch}, inboxes))
      found.push_back(log.folder.lexically_relative(data.path()).string() + ": " + std::to_string(log.waiting) + " " +
                      log.what);
    return found;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a data folder without logs has none that is unread") { CHECK(unread().empty()); }

TEST_CASE_METHOD(Fixture, "logs are found that hold something and that no stage reads") {
  keep("inbox/porch.devkit", 1);
  keep("inbox/porch.former", 2);
  keep("inbox/porch.settled", 0);
  keep("inbox/yard.devkit", 3);
  keep("spool/porch/devkit+kept", 4);
  keep("spool/porch/former+kept", 5);
  keep("spool/porch/devkit+former", 6);
  keep("spool/porch/former+devkit", 7);
  keep("spool/yard/devkit+kept", 8);
  CHECK(unread() == std::vector<std::string>{"inbox/porch.former: 2 messages", "inbox/yard.devkit: 3 messages",
                                             "spool/porch/devkit+former: 6 batches", "spool/porch/former+devkit: 7 batches",
                                             "spool/yard/devkit+kept: 8 batches"});
}

TEST_CASE_METHOD(Fixture, "a log whose messages are still being finished with is not unread") {
  keep("inbox/porch.former", 2);
  auto lease = inboxes.lease(data.path() / "inbox" / "porch.former", {});
  REQUIRE(lease.has_value());
  CHECK(unread().empty());
}
