#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "runner/cli/run.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"

namespace millrace::cli {
namespace {

struct EmulateOptions {
  std::string broker = "mqtt://127.0.0.1:1883";
  std::string topic;
  std::string qos = "1";
  std::string client_id;
  std::string username;
  std::string password_file;
  std::string ca, cert, key;
  std::string devices = "3";
  std::string interval = "1s";
  std::string seed = "1";
  std::string profile = "getstarted";
  std::string anomaly;
  std::string count = "0";
};

/// Where the shipped pipelines listen for the messages of a profile.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> profile_topics{{
    {"vehicle", "fleet/{device}/position"},
    {"process_line", "line/{device}/telemetry"},
    {"drilling_rig", "rig/{device}/drilling"},
    {"shop", "shop/{device}/customers"},
}};
constexpr std::string_view board_topic = "devices/{device}/messages/events/";

std::string topic_of(const EmulateOptions& o) {
  if (!o.topic.empty()) return o.topic;
  auto found = std::find_if(profile_topics.begin(), profile_topics.end(), [&](const auto& p) { return p.first == o.profile; });
  return std::string(found == profile_topics.end() ? board_topic : found->second);
}

/// The command is a pipeline: the emulator into an MQTT sink. Each option stands on a line of its own, so that what is wrong
/// with a line is said of the option.
class EmulatePipeline {
 public:
  explicit EmulatePipeline(const EmulateOptions& o) {
    line("", "name: emulate");
    line("", "stages:");
    line("", "- id: devkits");
    line("", "  plugin: emulator");
    plain("--devices", "devices", o.devices);
    text("--interval", "interval", o.interval);
    plain("--seed", "seed", o.seed);
    text("--profile", "profile", o.profile);
    if (!o.anomaly.empty()) text("--anomaly", "anomaly", o.anomaly);
    plain("--count", "count", o.count);
    line("", "- id: broker");
    line("", "  plugin: mqtt_sink");
    text("--broker", "broker", o.broker);
    text("--topic", "topic", topic_of(o));
    plain("--qos", "qos", o.qos);
    text("--client-id", "client_id", o.client_id.empty() ? "millrace-emulate-" + std::to_string(getpid()) : o.client_id);
    if (!o.username.empty()) text("--username", "username", o.username);
    if (!o.password_file.empty())
      line("--password-file", "  password: " + quoted("${file:" + std::filesystem::absolute(o.password_file).string() + "}"));
    if (!o.ca.empty() || !o.cert.empty() || !o.key.empty()) line("", "  tls:");
    if (!o.ca.empty()) file("--ca", "ca", o.ca);
    if (!o.cert.empty()) file("--cert", "cert", o.cert);
    if (!o.key.empty()) file("--key", "key", o.key);
  }

  const std::string& yaml() const { return yaml_; }

  /// A problem of the pipeline as one of the command line.
  std::string said_of_option(const config::Problem& problem) const {
    auto line = static_cast<std::size_t>(problem.position.line);
    std::string option = line > 0 && line <= options_.size() ? options_[line - 1] : "";
    std::string what = problem.what;
    // The option's name in the pipeline stands in front of what was expected; here the command line's stands there.
    if (auto end = what.find("': "); what.starts_with('\'') && end != std::string::npos) what.erase(0, end + 3);
    return option.empty() ? what : option + ": " + what;
  }

 private:
  /// JSON is YAML, and quotes whatever was typed.
  static std::string quoted(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

  /// What was typed is what is meant: a `${` in it stands for itself.
  static std::string literal(std::string text) {
    for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 3)) text.insert(at, "$");
    return quoted(text);
  }

  void line(std::string option, const std::string& yaml) {
    options_.push_back(std::move(option));
    yaml_ += yaml + "\n";
  }
  void text(std::string option, const std::string& key, const std::string& value) {
    line(std::move(option), "  " + key + ": " + literal(value));
  }
  /// A number stays one; anything else is a text that the plugin refuses.
  void plain(std::string option, const std::string& key, const std::string& value) {
    bool number = !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
    line(std::move(option), "  " + key + ": " + (number ? value : literal(value)));
  }
  void file(std::string option, const std::string& key, const std::string& path) {
    line(std::move(option), "    " + key + ": " + literal(std::filesystem::absolute(path).string()));
  }

  std::string yaml_;
  std::vector<std::string> options_;  ///< of each line
};

int emulate(const EmulateOptions& given, const Program& program) {
  EmulatePipeline pipeline(given);
  graph::Loader loader(program.plugins, config::process_environment());
  config::Problems problems("emulate");
  if (loader.parse(pipeline.yaml(), problems)) {
    fmt::print(stderr, "millrace emulate: {} devices ({}), a message every {} each, to {} at {}\n", given.devices,
               given.profile, given.interval, topic_of(given), given.broker);
    return run_text(pipeline.yaml(), program);
  }
  for (const config::Problem& problem : problems.list())
    fmt::print(stderr, "millrace emulate: {}\n", pipeline.said_of_option(problem));
  return wrong_use;
}

}  // namespace

void add_emulate(CLI::App& app, Program& program) {
  auto o = std::make_shared<EmulateOptions>();
  CLI::App* command = app.add_subcommand("emulate", "Publish the telemetry of emulated devices to an MQTT broker.");
  command->add_option("--broker", o->broker, "Address: mqtt://HOST[:PORT], mqtts://, ws:// or wss://")->capture_default_str();
  command->add_option(
      "--topic", o->topic,
      "Where to publish; {device} stands for the device. Default: where the shipped pipeline of the profile listens");
  command->add_option("--qos", o->qos, "Quality of service: 0, 1 or 2")->capture_default_str();
  command->add_option("--client-id", o->client_id, "Name at the broker; default: one of its own for each process");
  command->add_option("--username", o->username, "User name at the broker");
  command->add_option("--password-file", o->password_file, "File that holds the password")->check(CLI::ExistingFile);
  command->add_option("--ca", o->ca, "Certificates that the broker's may come from, PEM")->check(CLI::ExistingFile);
  command->add_option("--cert", o->cert, "Certificate of this client, PEM")->check(CLI::ExistingFile);
  command->add_option("--key", o->key, "Private key of --cert, PEM")->check(CLI::ExistingFile);
  command->add_option("--devices", o->devices, "How many devices")->capture_default_str();
  command->add_option("--interval", o->interval, "Time between two messages of a device, at least 1ms")->capture_default_str();
  command->add_option("--seed", o->seed, "The same seed gives the same readings")->capture_default_str();
  command
      ->add_option("--profile", o->profile,
                   "What is emulated: getstarted (an AZ3166 DevKit), vehicle, process_line, drilling_rig or shop")
      ->type_name("TEXT:{getstarted,vehicle,process_line,drilling_rig,shop}")
      ->capture_default_str();
  command->add_option("--anomaly", o->anomaly,
                      "Time between two scripted anomalies; 0s: none. Default: 20s for getstarted, else 2m");
  command->add_option("--count", o->count, "Messages of each device, then the command ends; 0: no end")->capture_default_str();
  command->callback([o, &program] { program.status = emulate(*o, program); });
}

}  // namespace millrace::cli
