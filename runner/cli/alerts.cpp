#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <functional>
#include <memory>

#include "runner/cli/alerts_options.h"
#include "runner/cli/commands.h"
#include "runner/config/event_time.h"
#include "runner/config/values.h"

namespace millrace::cli {
namespace {

using Work = Result<void> (*)(const AlertsOptions&);
using Check = std::function<void(AlertsOptions&)>;  // throws CLI::ParseError at what cannot go together

// Texts that are understood only later are looked at while the command line is read, so that they count as wrong use.
CLI::Validator duration() {
  return {[](std::string& text) {
            auto parsed = config::parse_duration(text);
            return parsed ? std::string() : fmt::format("expected {}, not '{}'", parsed.error().what, text);
          },
          "DURATION"};
}

CLI::Validator moment() {
  return {[](std::string& text) {
            auto parsed = parse_moment(text, Time{});
            return parsed ? std::string() : parsed.error().what;
          },
          "TIME"};
}

// Somebody has to stand for it.
void see_who(AlertsOptions& given) {
  const char* user = std::getenv("USER");
  if (given.by.empty() && user != nullptr) given.by = user;
  const passwd* login = given.by.empty() ? ::getpwuid(::geteuid()) : nullptr;
  if (login != nullptr) given.by = login->pw_name;
  if (given.by.empty()) throw CLI::RequiredError("--by WHO, as neither $USER nor the login says who,");
}

// --stage STAGE or PIPELINE/STAGE.
void split_stage(AlertsOptions& given) {
  const auto slash = given.stage.find('/');
  if (slash == std::string::npos) return;
  given.pipeline = given.stage.substr(0, slash);
  given.stage.erase(0, slash + 1);
}

void see_span(AlertsOptions& given) {
  if (given.lasting.empty() == given.to.empty()) throw CLI::RequiredError("one of --for DURATION and --to TIME");
  if (!given.lasting.empty() && config::parse_duration(given.lasting).value() <= Duration(0))
    throw CLI::ValidationError("--for", "a silence lasts longer than that");
  const Time now = SystemClock().now();
  const Time from = given.from.empty() ? now : parse_moment(given.from, now).value();
  if (!given.to.empty() && parse_moment(given.to, now).value() <= from)
    throw CLI::ValidationError("--to", "a silence ends after it begins");
}

class Commands {
 public:
  Commands(CLI::App& alerts, Program& program) : alerts_(alerts), program_(program) {}

  CLI::App* add(const char* name, const char* about, Work work, Check check = {}) {
    CLI::App* command = alerts_.add_subcommand(name, about);
    command->add_option("--data", given_->data, "The data folder")->check(is_named)->capture_default_str();
    command->callback([given = given_, work, check, &program = program_] {
      split_stage(*given);
      if (check) check(*given);
      if (auto result = work(*given); !result) {
        fmt::print(stderr, "millrace alerts: {}\n", result.error().what);
        program.status = failed;
      }
    });
    return command;
  }

  CLI::App* add_with_format(const char* name, const char* about, Work work, Check check = {}) {
    CLI::App* command = add(name, about, work, std::move(check));
    command->add_option("--format", given_->format, "text or json")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    return command;
  }

  void add_filters(CLI::App* command) {
    command->add_option("--rule", given_->rule, "Only of this rule");
    command->add_option("--key", given_->key, "Only of this key");
    add_stage(command);
  }

  void add_matchers(CLI::App* command) {
    command->add_option("--rule", given_->rule,
                        "Only of rules like this: * stands for any text, ? for one character, \\ takes the next as it is");
    command->add_option("--key", given_->key, "Only of keys like this, likewise");
    command->add_option("--label", given_->labels, "NAME=PATTERN: only of alerts with such a label, likewise; may be repeated")
        ->check([](const std::string& text) {
          return text.find('=') == std::string::npos || text.front() == '=' ? "expected NAME=PATTERN" : "";
        });
    add_stage(command);
  }

  void add_stage(CLI::App* command) {
    command->add_option("--stage", given_->stage, "Only at this stage: STAGE or PIPELINE/STAGE");
  }

  void add_span(CLI::App* command) {
    command
        ->add_option("--since", given_->since, "Only from this time on, by the devices' clocks: 2h ago, or as RFC 3339 has it")
        ->check(moment());
    command->add_option("--until", given_->until, "Only before this time")->check(moment());
  }

  void add_incident(CLI::App* command) { command->add_option("INCIDENT", given_->name, "An incident, or a key")->required(); }

  void add_who(CLI::App* command, const std::string& who) {
    command->add_option("--by", given_->by, who + "; default: $USER, else the login name");
  }

  void add_reason(CLI::App* command, const char* why) { command->add_option("--comment", given_->comment, why); }

  AlertsOptions& given() { return *given_; }

 private:
  std::shared_ptr<AlertsOptions> given_ = std::make_shared<AlertsOptions>();
  CLI::App& alerts_;
  Program& program_;
};

void add_list(Commands& commands) {
  AlertsOptions& given = commands.given();
  CLI::App* list = commands.add_with_format("list", "List incidents, newest first.", list_alerts);
  list->add_option("--state", given.state, "Only those in this state; open: all but OK")
      ->transform(CLI::IsMember({"open", "FIRING", "RECOVERING", "LATCHED", "OK"}, CLI::ignore_case));
  commands.add_filters(list);
  commands.add_span(list);
  list->add_option("--limit", given.limit, "At most so many")->check(CLI::Range(1, 100'000))->capture_default_str();
}

void add_show(Commands& commands) {
  CLI::App* show = commands.add_with_format("show", "Show an incident's timeline, and who was told.", show_alert);
  commands.add_incident(show);
}

void add_ack(Commands& commands) {
  CLI::App* ack =
      commands.add_with_format("ack", "Acknowledge what is open, through the running instance.", acknowledge_alert, see_who);
  commands.add_incident(ack);
  commands.add_who(ack, "Who does it");
  commands.add_reason(ack, "What to add");
}

void add_comment(Commands& commands) {
  CLI::App* comment = commands.add_with_format("comment", "Add to an incident's timeline, through the running instance.",
                                               comment_on_alert, see_who);
  commands.add_incident(comment);
  comment->add_option("TEXT", commands.given().comment, "What there is to say")->required()->check([](const std::string& text) {
    return text.empty() ? "is empty" : "";
  });
  commands.add_who(comment, "Who says it");
}

void see_silence(AlertsOptions& given) {
  see_who(given);
  see_span(given);
  if (given.once && given.key.empty()) throw CLI::RequiredError("--key KEY, as --once is of one key,");
}

void add_silence(Commands& commands) {
  AlertsOptions& given = commands.given();
  CLI::App* silence = commands.add_with_format("silence", "Tell nobody of the alerts that match, through the running instance.",
                                               silence_alerts, see_silence);
  commands.add_matchers(silence);
  silence->add_option("--for", given.lasting, "How long, such as 2h")->check(duration());
  silence->add_option("--to", given.to, "Until when, in place of --for")->check(moment());
  auto* in = silence->add_option("--in", given.in, "When it begins, from now on")->check(duration())->capture_default_str();
  auto* from = silence->add_option("--from", given.from, "When it begins, in place of --in")->check(moment())->excludes(in);
  silence->add_flag("--once", given.once, "Until the alert ends that is open of --key, if that is sooner")
      ->excludes(in)
      ->excludes(from);
  silence->add_option("--id", given.id, "What it is called; a name is made if not given");
  commands.add_who(silence, "Who does it");
  commands.add_reason(silence, "Why");
}

void see_unsilence(AlertsOptions& given) {
  see_who(given);
  if (given.id.empty() && given.rule.empty() && given.key.empty() && given.labels.empty() && !given.all)
    throw CLI::RequiredError("SILENCE, or --rule, --key, --label, or --all for one that mutes everything,");
}

void add_unsilence(Commands& commands) {
  AlertsOptions& given = commands.given();
  CLI::App* unsilence =
      commands.add_with_format("unsilence", "End a silence, or those of just these patterns.", unsilence_alerts, see_unsilence);
  unsilence->add_option("SILENCE", given.id, "What it is called");
  commands.add_matchers(unsilence);
  commands.add_who(unsilence, "Who does it");
  unsilence->add_flag("--all", given.all, "Those that mute every rule and key");
}

void add_silences(Commands& commands) {
  CLI::App* silences = commands.add_with_format("silences", "List silences that hold or will.", list_silences);
  commands.add_stage(silences);
  silences->add_flag("--all", commands.given().all, "Those that are over, too");
}

void add_export(Commands& commands) {
  CLI::App* exporting =
      commands.add("export", "Write every event, oldest first, for other programs.", export_events, [](AlertsOptions& asked) {
        if (asked.format == "text") asked.format = "csv";
      });
  exporting->add_option("--format", commands.given().format, "csv or jsonl, one JSON object a line; default csv")
      ->check(CLI::IsMember({"csv", "jsonl"}));
  commands.add_filters(exporting);
  commands.add_span(exporting);
}

}  // namespace

Result<Time> parse_moment(std::string_view text, Time now) {
  if (auto time = config::parse_rfc3339(text)) return *time;
  if (auto ago = config::parse_duration(text)) return now - *ago;
  std::int64_t ms = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  constexpr std::int64_t most = 253'402'300'800'000;  // the year 10000
  if (error == std::errc{} && end == text.data() + text.size() && text.size() >= 12 && ms >= 0 && ms < most)
    return from_millis(ms);
  return invalid(fmt::format(
      "expected how long ago, such as 2h, a time such as 2026-03-01T12:30:00Z, or milliseconds since 1970, not '{}'", text));
}

void add_alerts(CLI::App& app, Program& program) {
  CLI::App* alerts = app.add_subcommand("alerts", "List, show, acknowledge and silence alerts.");
  alerts->require_subcommand(1);
  Commands commands(*alerts, program);
  for (auto* add : {add_list, add_show, add_ack, add_comment, add_silence, add_unsilence, add_silences, add_export})
    add(commands);
}

}  // namespace millrace::cli
