#include "runner/graph/definition.h"

namespace millrace::graph {

void Listen::Tls::describe(config::Fields<Tls>& f) {
  f.field("cert", &Tls::cert).doc("PEM file with the certificate chain.").required();
  f.field("key", &Tls::key).doc("PEM file with the private key.").required();
}

void Listen::describe(config::Fields<Listen>& f) {
  f.field("address", &Listen::address).doc("Host and port, such as 127.0.0.1:8080; port 0 takes a free one.");
  f.field("tls", &Listen::tls).doc("Serve HTTPS with this certificate.");
  f.field("insecure", &Listen::insecure).doc("Allow an address beyond loopback without TLS.");
  f.choice("auth", &Listen::auth, {{"auto", Auth::automatic}, {"required", Auth::required}, {"none", Auth::none}})
      .doc(
          "Whether whoever comes must bring a token that `millrace token` has minted: `auto` asks for one beyond loopback, "
          "`none` "
          "lets everybody who reaches the address do everything.");
  f.field("token_keys", &Listen::token_keys)
      .doc(
          "File of the keys that sign and verify tokens, readable by its owner alone; `token.keys` in the data folder if not "
          "given.");
  f.shorthand("address");
}

void Queue::describe(config::Fields<Queue>& f) {
  f.field("records", &Queue::records).doc("Records that the input link holds before it is full.").min(1).max(10'000'000);
  f.field("bytes", &Queue::bytes).doc("Bytes that the input link holds before it is full.").min(config::Bytes{1024});
}

void StageKeys::describe(config::Fields<StageKeys>& f) {
  f.field("id", &StageKeys::id).doc("What the stage is called; the plugin's name if it is the only one of its kind.");
  f.field("plugin", &StageKeys::plugin).doc("What the stage is.").required();
  f.field("from", &StageKeys::from)
      .doc("The stages, or addresses of other processes (ipc://, tcp://), that it reads from; without it, the stage above.");
  f.choice("on_full", &StageKeys::on_full,
           {{"block", Overflow::block},
            {"drop_oldest", Overflow::drop_oldest},
            {"drop_newest", Overflow::drop_newest},
            {"newest", Overflow::newest},
            {"spool", Overflow::spool}})
      .doc("What the input link does when it is full; block, unless the plugin says otherwise.");
  f.field("queue", &StageKeys::queue).doc("How much the input link holds.");
  f.field("publish", &StageKeys::publish).doc("Offers the stage's output to other processes at this address (ipc://, tcp://).");
  f.choice("thread", &StageKeys::thread, {{"own", Threading::own}, {"shared", Threading::shared}})
      .doc("`own` gives a stage that computes much a thread of its own.");
}

void TestCase::Expect::describe(config::Fields<Expect>& f) {
  f.field("alerts", &Expect::alerts)
      .doc(
          "Exactly the transitions that must come, in order; each names the members it cares for, `at` counted from the "
          "start.");
  f.field("notifications", &Expect::notifications).doc("Exactly the notifications that people must get, in order.");
  f.field("outputs", &Expect::outputs)
      .doc("For a stage: exactly the records that it must emit, in order, each with the fields it cares for.");
  f.field("counts", &Expect::counts).doc("For a stage: how many records it must emit.");
}

void TestCase::describe(config::Fields<TestCase>& f) {
  f.field("name", &TestCase::name).doc("What must hold, as a sentence.").required();
  f.field("input", &TestCase::input)
      .doc(
          "Records in the order of time: `at` from the start, `device`, all other keys are fields; or a control: `tick`, "
          "`flush`, "
          "`ack: KEY`, `silence: {to: 1h, key, rule}`, `unsilence: {key, rule}`, `restart: {up: 30s, windows: kept}`.")
      .required();
  f.field("expect", &TestCase::expect).doc("What must come out.").required();
}

void PipelineKeys::describe(config::Fields<PipelineKeys>& f) {
  f.field("name", &PipelineKeys::name).doc("What the pipeline is called; the file's name without its ending if not given.");
  f.field("listen", &PipelineKeys::listen)
      .doc("The client plane: page, hub, metrics, health; opened only if something needs it.");
  f.field("stages", &PipelineKeys::stages).doc("The stages, each a map with `plugin`.").required();
  f.field("tests", &PipelineKeys::tests).doc("Cases that `millrace test` runs in virtual time.");
}

}  // namespace millrace::graph
