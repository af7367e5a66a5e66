#include <pwd.h>

#include <cstdlib>
#include <mutex>
#include <optional>

#include "alerts_site.h"
#include "runner/cli/control.h"
#include "runner/store/data_folder.h"

using namespace millrace;
using namespace millrace::cli::site;

TEST_CASE("alerts ack asks the running instance, and only for what is open") {
  Site site;
  Outcome idle = site.alerts({"ack", "room", "--by", "ada"});
  CHECK(idle.status == cli::failed);
  CHECK_THAT(idle.err, Contains("no instance runs"));

  auto folder = store::DataFolder::lock(site.data);
  std::mutex mutex;
  std::vector<json> requests;
  std::string answer =
      R"({"ok": true, "alerts": [{"rule": "hot", "key": "room", "outcome": "acknowledged", "acked_by": "ada"}]})";
  auto server = cli::ControlServer::serve(folder->control_socket(), [&](std::string_view request) {
                  std::lock_guard lock(mutex);
                  requests.push_back(json::parse(request));
                  return answer;
                }).value();
  Outcome acked = site.alerts({"ack", "room", "--by", "ada", "--comment", "on my way"});
  CHECK(acked.status == 0);
  CHECK_THAT(acked.out, Contains("house/climate/hot/room#2") && Contains("ada"));
  REQUIRE(requests.size() == 1);
  CHECK(requests[0] == json{{"command", "ack"},
                            {"pipeline", "house"},
                            {"stage", "climate"},
                            {"rule", "hot"},
                            {"key", "room"},
                            {"incident", "house/climate/hot/room#2"},
                            {"by", "ada"},
                            {"comment", "on my way"}});
  answer = R"({"ok": true, "alerts": [{"rule": "hot", "key": "room", "outcome": "already", "acked_by": "ada"}]})";
  Outcome second = site.alerts({"ack", "room", "--by", "bob"});
  CHECK(second.status == 0);
  CHECK_THAT(second.out, Contains("was already acknowledged by ada") && Contains("ignored"));
  requests.pop_back();
  Outcome over = site.alerts({"ack", "house/climate/hot/room#1", "--by", "ada"});
  CHECK(over.status == cli::failed);
  CHECK_THAT(over.err, Contains("has ended already"));
  CHECK(requests.size() == 1);
  answer = R"({"ok": false, "error": "the stage is stopping"})";
  Outcome refused = site.alerts({"ack", "room", "--by", "ada"});
  CHECK(refused.status == cli::failed);
  CHECK_THAT(refused.err, Contains("the stage is stopping"));
}

TEST_CASE("who acknowledges is --by, else $USER, else the login name: a container and a timer have no $USER") {
  const passwd* login = ::getpwuid(::geteuid());
  REQUIRE(login != nullptr);
  Site site;
  auto folder = store::DataFolder::lock(site.data);
  std::string by;
  auto server = cli::ControlServer::serve(folder->control_socket(), [&](std::string_view request) {
                  by = json::parse(request)["by"];
                  return R"({"ok": true, "alerts": []})";
                }).value();
  const char* present = std::getenv("USER");
  const std::optional<std::string> user = present == nullptr ? std::nullopt : std::optional<std::string>(present);
  ::setenv("USER", "bob", 1);
  CHECK(site.alerts({"ack", "room", "--by", "ada"}).status == cli::done);
  CHECK(by == "ada");
  CHECK(site.alerts({"ack", "room"}).status == cli::done);
  CHECK(by == "bob");
  ::unsetenv("USER");
  CHECK(site.alerts({"ack", "room"}).status == cli::done);
  CHECK(by == login->pw_name);
  if (user) ::setenv("USER", user->c_str(), 1);
}

TEST_CASE("alerts silence and unsilence ask the running instance for just what was said") {
  Site site;
  Outcome idle = site.alerts({"silence", "--for", "2h", "--by", "ada"});
  CHECK(idle.status == cli::failed);
  CHECK_THAT(idle.err, Contains("no instance runs"));
  CHECK(site.alerts({"silence", "--key", "room"}).status == cli::wrong_use);

  auto folder = store::DataFolder::lock(site.data);
  std::mutex mutex;
  std::vector<json> requests;
  std::string answer = R"({"ok": true, "silences": [{"id": "room@1", "pipeline": "house", "stage": "climate", "to": 9}]})";
  auto server = cli::ControlServer::serve(folder->control_socket(), [&](std::string_view request) {
                  std::lock_guard lock(mutex);
                  requests.push_back(json::parse(request));
                  return answer;
                }).value();
  Outcome silenced = site.alerts({"silence", "--key", "room", "--stage", "house/climate", "--for", "2h", "--by", "ada",
                                  "--comment", "painting", "--format", "json"});
  REQUIRE(silenced.status == 0);
  REQUIRE(requests.size() == 1);
  json asked = requests[0];
  CHECK(asked["to"].get<std::int64_t>() - asked["from"].get<std::int64_t>() == 7'200'000);
  CHECK(json::parse(silenced.out)[0]["id"] == "room@1");
  asked.erase("from");
  asked.erase("to");
  CHECK(asked == json{{"command", "silence"},
                      {"pipeline", "house"},
                      {"stage", "climate"},
                      {"key", "room"},
                      {"by", "ada"},
                      {"comment", "painting"}});
  CHECK(site.alerts({"unsilence", "room@1", "--by", "bob"}).status == 0);
  CHECK(requests[1] == json{{"command", "unsilence"}, {"id", "room@1"}, {"by", "bob"}});
  CHECK(site.alerts({"silence", "--from", "2050-01-01T00:00:00Z", "--to", "2050-01-02T00:00:00Z", "--by", "ada"}).status == 0);
  CHECK(requests[2]["from"] == 2'524'608'000'000);
  CHECK(requests[2]["to"] == 2'524'694'400'000);
  CHECK_FALSE(requests[2].contains("once"));
  CHECK(site.alerts({"silence", "--key", "room", "--for", "1d", "--once", "--by", "ada"}).status == 0);
  CHECK(requests[3]["once"] == true);
  answer = R"({"ok": false, "error": "no silence is called 'x'"})";
  Outcome refused = site.alerts({"unsilence", "x", "--by", "bob"});
  CHECK(refused.status == cli::failed);
  CHECK_THAT(refused.err, Contains("no silence is called 'x'"));
}
