#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "runner/cli/run.h"

namespace millrace::cli {
namespace {

struct EmulateOptions {
  std::string broker = "mqtt://127.0.0.1:1883";
  std::string topic = "devices/{device}/messages/events/";
  int qos = 1;
  std::string client_id;
  std::string username;
  std::string password_file;
  std::string ca, cert, key;
  std::uint32_t devices = 3;
  std::string interval = "1s";
  std::uint64_t seed = 1;
  std::string profile = "getstarted";
  std::string anomaly = "20s";
  std::uint64_t count = 0;
};

/// What was typed is what is meant: a `${` in it stands for itself.
std::string literal(std::string text) {
  for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 3)) text.insert(at, "$");
  return text;
}

std::string absolute(const std::string& path) { return literal(std::filesystem::absolute(path).string()); }

/// A command that is a pipeline: the emulator into an MQTT sink. JSON is YAML, and quotes whatever was typed.
std::string pipeline_of(const EmulateOptions& o) {
  using Json = nlohmann::ordered_json;
  Json source = {{"id", "devkits"},
                 {"plugin", "emulator"},
                 {"devices", o.devices},
                 {"interval", literal(o.interval)},
                 {"seed", o.seed},
                 {"profile", literal(o.profile)},
                 {"anomaly", {{"every", literal(o.anomaly)}}},
                 {"count", o.count}};
  Json sink = {
      {"id", "broker"}, {"plugin", "mqtt_sink"}, {"broker", literal(o.broker)}, {"topic", literal(o.topic)}, {"qos", o.qos}};
  sink["client_id"] = o.client_id.empty() ? "millrace-emulate-" + std::to_string(getpid()) : literal(o.client_id);
  if (!o.username.empty()) sink["username"] = literal(o.username);
  if (!o.password_file.empty()) sink["password"] = "${file:" + std::filesystem::absolute(o.password_file).string() + "}";
  if (!o.ca.empty()) sink["tls"]["ca"] = absolute(o.ca);
  if (!o.cert.empty()) sink["tls"]["cert"] = absolute(o.cert);
  if (!o.key.empty()) sink["tls"]["key"] = absolute(o.key);
  return Json{{"name", "emulate"}, {"stages", Json::array({source, sink})}}.dump();
}

}  // namespace

void add_emulate(CLI::App& app, Program& program) {
  auto o = std::make_shared<EmulateOptions>();
  CLI::App* command = app.add_subcommand("emulate", "Publish the telemetry of emulated DevKits to an MQTT broker.");
  command->add_option("--broker", o->broker, "Address: mqtt://HOST[:PORT], mqtts://, ws:// or wss://")->capture_default_str();
  command->add_option("--topic", o->topic, "Where to publish; {device} stands for the device")->capture_default_str();
  command->add_option("--qos", o->qos, "Quality of service: 0, 1 or 2")->capture_default_str();
  command->add_option("--client-id", o->client_id, "Name at the broker; default: one of its own for each process");
  command->add_option("--username", o->username, "User name at the broker");
  command->add_option("--password-file", o->password_file, "File that holds the password")->check(CLI::ExistingFile);
  command->add_option("--ca", o->ca, "Certificates that the broker's may come from, PEM")->check(CLI::ExistingFile);
  command->add_option("--cert", o->cert, "Certificate of this client, PEM")->check(CLI::ExistingFile);
  command->add_option("--key", o->key, "Private key of --cert, PEM")->check(CLI::ExistingFile);
  command->add_option("--devices", o->devices, "How many DevKits")->capture_default_str();
  command->add_option("--interval", o->interval, "Time between two messages of a device, at least 1ms")->capture_default_str();
  command->add_option("--seed", o->seed, "The same seed gives the same readings")->capture_default_str();
  command->add_option("--profile", o->profile, "The firmware whose messages are sent")->capture_default_str();
  command->add_option("--anomaly", o->anomaly, "Time between two humidity jumps; 0s: none")->capture_default_str();
  command->add_option("--count", o->count, "Messages of each device, then the command ends; 0: no end")->capture_default_str();
  command->callback([o, &program] { program.status = run_text(pipeline_of(*o), program); });
}

}  // namespace millrace::cli
