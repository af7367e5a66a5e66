#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runner/stage/error.h"
#include "runner/stage/record.h"

namespace millrace::link::wire {

// What the two ends of a link between processes say to each other: one ZeroMQ frame each, a type byte, then a MessagePack
// array.
//
// The reader opens with Hello and repeats it when it has heard nothing; the writer answers Welcome, then sends Batches numbered
// from 1 without holes, no more than the credit allows, and says in each Pulse how far it has come. The reader settles numbers,
// in any order, and asks again from a number when one is missing. A batch is sent until it is settled; the reader leaves out
// what it has had already. `epoch` names one life of the writer, in which numbers mean the same.

struct Hello {
  std::string reader;         ///< "pipeline/stage": the same again after a restart
  std::uint64_t session = 0;  ///< one life of the reader
};
struct Welcome {
  std::uint64_t epoch = 0;
  std::uint64_t session = 0;
  std::uint64_t first = 0;  ///< the lowest number that is not settled, the first to come
};
struct Refusal {
  std::string why;
};
struct Numbered {
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
  std::string_view payload;  ///< encode_batch
};
struct Pulse {
  std::uint64_t epoch = 0;
  std::uint64_t sent = 0;  ///< the highest number sent
};
struct Credit {
  std::uint64_t epoch = 0;
  std::uint64_t up_to = 0;  ///< the highest number that the reader has room for
};
struct Settled {
  std::uint64_t epoch = 0;
  std::vector<std::uint64_t> numbers;
};
struct Again {
  std::uint64_t epoch = 0;
  std::uint64_t from = 0;  ///< send again from here
};

using Message = std::variant<Hello, Welcome, Refusal, Numbered, Pulse, Credit, Settled, Again>;

std::string encode(const Message& message);

/// `payload` of a Numbered points into `frame`. Rejected: whatever is not such a message.
Result<Message> decode(std::string_view frame);

/// All of a batch but its Ack: types, order and precision are kept.
std::string encode_batch(const Batch& batch);
Result<Batch> decode_batch(std::string_view payload);

}  // namespace millrace::link::wire
