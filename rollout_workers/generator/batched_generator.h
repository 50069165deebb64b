// The generator over any Decoder: continuous batching. Every step is one Sample call that holds the
// newest token of each running round and the next chunk of prompts that are not yet through. What a
// round samples depends on its episode's tokens, its stream key and the weights alone: the decoder's
// rows are independent of one another.
//   StartRound → (prompt chunks | one token a Step)… → stop → RoundResult; the cache waits for the
//   next round.
// An episode whose tokens begin like another's (the members of a group share their prompt) takes
// over what of that one's cache is the same, instead of running the tokens again.
#pragma once

#include <cstdint>
#include <memory>

#include "policy/decoder/decoder.h"
#include "proto/config.pb.h"
#include "rollout_workers/generator/generator.h"

namespace routewright {

class Tokenizer;

// `tokenizer` gives the bytes in which stop strings are sought; it must outlive the generator, and
// may be nullptr if no round has stop strings. `policy_version` is that of the decoder's weights.
std::unique_ptr<Generator> NewBatchedGenerator(std::unique_ptr<Decoder> decoder,
                                               const Tokenizer* tokenizer,
                                               const WorkerConfig& worker_config,
                                               int64_t policy_version = 0);

}  // namespace routewright
