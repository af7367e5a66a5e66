#include "runner/graph/definition.h"

namespace millrace::graph {

void Listen::Tls::describe(config::Fields<Tls>& f) {
  f.field("cert", &Tls::cert).doc("PEM file with the certificate chain.").required().watched();
  f.field("key", &Tls::key).doc("PEM file with the private key.").required().watched();
}

void Listen::describe(config::Fields<Listen>& f) {
  f.field("address", &Listen::address).doc("Host and port, such as 127.0.0.1:8080; port 0 takes a free one.").not_empty();
  f.field("tls", &Listen::tls).doc("Serve HTTPS with this certificate.");
  f.field("insecure", &Listen::insecure).doc("Allow an address beyond loopback without TLS.");
  f.choice("auth", &Listen::auth, {{"auto", Auth::automatic}, {"required", Auth::required}, {"none", Auth::none}})
      .doc(
          "Whether whoever comes must bring a token that `millrace token` has minted: `auto` asks for one beyond loopback, "
          "`none` lets everybody who reaches the address do everything.");
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

void Spool::describe(config::Fields<Spool>& f) {
  f.field("limit", &Spool::limit)
      .doc("Disk that batches which wait may take; when it is full, too, the stage above is blocked.")
      .min(config::Bytes{16U << 20U});
  f.choice("sync", &Spool::sync, {{"os", SpoolSync::os}, {"100ms", SpoolSync::timed}, {"always", SpoolSync::always}})
      .doc(
          "What a power cut may take: what the operating system has not written yet, 100 ms, or nothing. A kill takes "
          "nothing.");
}

void CurveKeys::describe(config::Fields<CurveKeys>& f) {
  f.field("secret", &CurveKeys::secret).doc("This stage's own secret key, of a pair that `millrace curve` makes.").required();
  f.field("reader", &CurveKeys::reader).doc("The public key of the stage that may read what `publish` offers.").not_empty();
  f.field("publisher", &CurveKeys::publisher)
      .doc("The public key of the stage that offers what `from: ADDR` reads.")
      .not_empty();
}

void RecordKeys::describe(config::Fields<RecordKeys>& f) {
  f.field("keep", &RecordKeys::keep).doc("How long; older records go.").min(1min).max(std::chrono::hours(24 * 3660));
  f.field("limit", &RecordKeys::limit)
      .doc("How large the recording may grow; beyond it the oldest records go.")
      .min(config::Bytes{1U << 20U});
  f.shorthand("keep");
}

void StageKeys::describe(config::Fields<StageKeys>& f) {
  f.field("id", &StageKeys::id)
      .doc("What the stage is called; the plugin's name if it is the only one of its kind.")
      .not_empty();
  f.field("plugin", &StageKeys::plugin).doc("What the stage is.").required().not_empty();
  f.field("from", &StageKeys::from)
      .doc("The stages, or addresses of other processes (ipc://, tcp://), that it reads from; without it, the stage above.")
      .not_empty();
  f.choice("on_full", &StageKeys::on_full,
           {{"block", Overflow::block},
            {"drop_oldest", Overflow::drop_oldest},
            {"drop_newest", Overflow::drop_newest},
            {"newest", Overflow::newest},
            {"spool", Overflow::spool}})
      .doc("What the input link does when it is full; block, unless the plugin says otherwise.");
  f.field("queue", &StageKeys::queue).doc("How much the input link holds.");
  f.field("spool", &StageKeys::spool).doc("How much `on_full: spool` keeps on disk, and how safely.");
  f.field("publish", &StageKeys::publish)
      .doc("Offers the stage's output to other processes at this address (ipc://, tcp://).")
      .not_empty();
  f.field("curve", &StageKeys::curve)
      .doc("ZeroMQ's CURVE keys for `publish` and `from: ADDR`: needed beyond loopback, where nobody else may read or write.");
  f.choice("thread", &StageKeys::thread, {{"own", Threading::own}, {"shared", Threading::shared}})
      .doc("`own` gives a stage that computes much a thread of its own.");
}

namespace {

template <class C>
void describe_rows(config::Fields<C>& f, const std::string& how) {
  auto at = [](auto member) { return static_cast<std::optional<std::vector<config::Node>> C::*>(member); };
  f.field("alerts", at(&TestCase::Rows::alerts))
      .doc("Transitions of alerts" + how + "; PENDING, RECOVERING and cancelled ones only where a row names such a state.");
  f.field("notifications", at(&TestCase::Rows::notifications)).doc("What people are told" + how + ".");
  f.field("clients", at(&TestCase::Rows::clients))
      .doc("Messages to a browser or phone that takes everything, each a `target` and its `arguments`" + how + ".");
  f.field("outputs", static_cast<config::Map<std::vector<config::Node>> C::*>(&TestCase::Rows::outputs))
      .doc("For a stage: records that it emits, or, of a sink, takes" + how + ".");
}

}  // namespace

void TestCase::Rows::describe(config::Fields<Rows>& f) { describe_rows(f, ""); }

void TestCase::Count::describe(config::Fields<Count>& f) {
  f.field("exactly", &Count::exactly).doc("So many, no more and no less.");
  f.field("at_least", &Count::at_least).doc("So many or more.");
  f.field("at_most", &Count::at_most).doc("So many or fewer.");
  f.shorthand("exactly");
}

void TestCase::Expect::describe(config::Fields<Expect>& f) {
  describe_rows(f, ": exactly these, in order");
  f.field("counts", &Expect::counts)
      .doc("For a stage, or for `alerts`, `notifications` or `clients`: how many; a number, `at_least` or `at_most`.");
  f.field("has", &Expect::among).doc("Rows that must be there in this order, among others.");
  f.field("not", &Expect::none).doc("Rows of which none may be there.");
}

void TestCase::describe(config::Fields<TestCase>& f) {
  f.field("name", &TestCase::name).doc("What must hold, as a sentence.").required().not_empty();
  f.field("input", &TestCase::input)
      .doc(
          "What happens, in the order of time: records, `{at: 20s, device: a}` with all other keys as fields, or `{time, "
          "device, fields}`; and controls: `start`, `tick`, `flush`, `ack`, `silence`, `unsilence`, `restart`, `outage`, "
          "`reload`.")
      .required();
  f.field("expect", &TestCase::expect)
      .doc("What must come out; a row names the members it cares for, `at` being its time from the start.")
      .required();
}

void PipelineKeys::describe(config::Fields<PipelineKeys>& f) {
  f.field("name", &PipelineKeys::name)
      .doc("What the pipeline is called; the file's name without its ending if not given.")
      .not_empty();
  f.field("listen", &PipelineKeys::listen)
      .doc("The client plane: page, hub, metrics, health; opened only if something needs it.");
  f.field("record", &PipelineKeys::record)
      .doc("Keeps what the sources receive, in the data folder, for `millrace replay` to run rules over.");
  f.field("stages", &PipelineKeys::stages).doc("The stages, each a map with `plugin`.").required();
  f.field("tests", &PipelineKeys::tests).doc("Cases that `millrace test` runs in virtual time.");
}

}  // namespace millrace::graph
