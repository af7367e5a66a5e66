#include "runner/link/wire.h"

#include <catch2/catch.hpp>
#include <string>

#include "runner/link/socket.h"
#include "runner/stage/json.h"

using namespace millrace;
using namespace millrace::link;

namespace {

std::string json(const Record& record) {
  std::string out;
  append_json_record(out, record, true);
  return out;
}

}  // namespace

TEST_CASE("a batch comes out of the wire as it went in") {
  JsonDecoder decoder;
  Batch batch;
  REQUIRE(decoder
              .decode(R"([{"i":9007199254740993,"one":1.0,"z":-0.0,"big":1e300,"tiny":5e-324,"none":null,"l":[],"o":{},)"
                      R"("deep":{"b":[1,{"a":"ü"}],"a":true}},{"b":1,"a":2}])",
                      batch)
              .has_value());
  batch.records[0].device = "porch";
  batch.records[0].time = Time(Duration(1790000000123456));
  batch.records[0].arrival = Time(Duration(-5));
  batch.records[1].kind = "alert";
  batch.records[1].meta.push(batch.arena(), "topic", Value::string("a/b"));
  batch.records[1].fields.push(batch.arena(), "raw", Value::bytes(std::string_view("\0\xff", 2)));

  Result<Batch> back = wire::decode_batch(wire::encode_batch(batch));
  REQUIRE(back.has_value());
  REQUIRE(back->size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(json(back->records[i]) == json(batch.records[i]));
    CHECK(back->records[i].time == batch.records[i].time);
    CHECK(back->records[i].arrival == batch.records[i].arrival);
  }
  CHECK(back->records[1].fields.find("raw")->type() == Type::bytes);
}

TEST_CASE("a value may be as deep as the limit says, without what the wire wraps around it") {
  auto nested = [](std::size_t depth) {
    Batch batch;
    Value value = Value::null();
    for (std::size_t i = 0; i < depth; ++i) {
      Value* item = batch.arena().allocate<Value>(1);
      *item = value;
      value = Value::list({item, 1});
    }
    batch.append().fields.push(batch.arena(), "deep", value);
    return wire::decode_batch(wire::encode_batch(batch));
  };
  CHECK(nested(64).has_value());
  CHECK(nested(65).has_error());
}

TEST_CASE("only the loopback is this machine, whatever a name begins with") {
  for (const char* here :
       {"tcp://127.0.0.1:5555", "tcp://127.9.9.9:1", "tcp://localhost:5555", "tcp://[::1]:5555", "ipc:///run/x"})
    CHECK_FALSE(address_problem(here, false));
  for (const char* beyond : {"tcp://127.evil.example:5555", "tcp://127.0.0.1.evil.example:5555", "tcp://10.0.0.1:5555",
                             "tcp://0.0.0.0:5555", "tcp://localhost.evil.example:5", "udp://127.0.0.1:1", "ipc://"})
    CHECK(address_problem(beyond, false));
}

TEST_CASE("messages come out of the wire as they went in") {
  auto round = [](wire::Message m) {
    std::string frame = wire::encode(m);
    Result<wire::Message> back = wire::decode(frame);
    REQUIRE(back.has_value());
    CHECK(wire::encode(*back) == frame);
    CHECK(back->index() == m.index());
  };
  round(wire::Hello{"pipe/stage", 7});
  round(wire::Welcome{1, 2, 3});
  round(wire::Refusal{"taken"});
  round(wire::Numbered{1ULL << 63U, 2, "payload"});
  round(wire::Pulse{1, 2});
  round(wire::Credit{1, 2});
  round(wire::Settled{1, {1, 2, ~0ULL}});
  round(wire::Again{1, 9});
}

TEST_CASE("foreign bytes are refused, however deep") {
  for (std::string frame :
       {std::string(), std::string("H"), std::string("X\x90"), std::string("B123"), std::string("S\x92\x01\x02"),
        std::string("H") + std::string(1'000'000, '\x91'), std::string("W\x93\xa1x\x01\x02")})
    CHECK(wire::decode(frame).has_error());
  CHECK(wire::decode_batch(std::string(1'000'000, '\x91')).has_error());
  CHECK(wire::decode_batch("\x91\x01").has_error());
}
