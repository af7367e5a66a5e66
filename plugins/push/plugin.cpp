#include "runner/config/plugin.h"

#include "plugins/push/push.h"

namespace millrace {

void push::RetryPlan::describe(config::Fields<RetryPlan>& f) {
  f.field("first", &RetryPlan::first)
      .doc("The pause after the first failure is anywhere up to this, and doubles with each.")
      .min(1ms);
  f.field("max", &RetryPlan::max).doc("No pause is longer, unless the receiver asks for more.").min(1ms);
  f.field("ttl", &RetryPlan::ttl)
      .doc("A message that could not be delivered for so long is given up, into the dead letters.")
      .min(1s);
  f.check({"first", "max"}, [](const RetryPlan& retry, config::CheckReport<RetryPlan>& report) {
    if (retry.first > retry.max) report.wrong("first", "'first' is longer than 'max'");
  });
}

void push::Push::Config::describe(config::Fields<Config>& f) {
  f.field("to", &Config::to)
      .required()
      .secret()
      .doc("Who is told: `https://` or `http://` (a webhook), `ntfys://HOST/TOPIC` or `ntfy://HOST/TOPIC`; one or a list.");
  f.field("title", &Config::title)
      .doc("The title, with `{field}` and `{field:.1f}` for the record's; without it, what the alert or the device is called.");
  f.field("body", &Config::body).doc("The text, as `title`; without it the alert's own message, else the record's fields.");
  f.field("retry", &Config::retry).doc("What happens to a message that could not be delivered.");
  f.field("timeout", &Config::timeout).doc("How long one attempt may take.").min(100ms).max(5min);
  f.field("secret", &Config::secret)
      .doc("Signs webhooks: the header `X-Millrace-Signature: t=SECONDS,v1=HEX` has the HMAC-SHA-256 of `SECONDS.BODY`.");
  f.check({"to"}, [](const Config& config, config::CheckReport<Config>& report) {
    if (config.to.empty()) report.wrong("to", "'to' names nobody");
    for (std::size_t i = 0; i < config.to.size(); ++i)
      if (auto target = Target::parse(config.to[i]); !target) report.wrong_at({"to", std::to_string(i)}, target.error().what);
  });
  f.check({"title"}, [](const Config& config, config::CheckReport<Config>& report) {
    if (auto title = Template::parse(config.title); !title) report.wrong("title", "'title': " + title.error().what);
  });
  f.check({"body"}, [](const Config& config, config::CheckReport<Config>& report) {
    if (auto body = Template::parse(config.body); !body) report.wrong("body", "'body': " + body.error().what);
  });
}

Plugin push_plugin() {
  Plugin plugin =
      config::define_plugin<push::Push>("push", "Tells people: sends notifications to webhooks and ntfy, for certain.");
  plugin.threading = Threading::own;
  plugin.tells_people = true;
  return plugin;
}

}  // namespace millrace
