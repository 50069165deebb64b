// The policy as the rollout workers run it on CPU: incremental, f32, no LibTorch. Every row's
// numbers depend on that row's tokens alone: not on the other rows of the call, on how a prompt
// was cut into chunks or on the number of threads. So what an episode samples is the same in any
// batch, on any worker, bitwise.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/decoder/sampler.h"
#include "policy/model/model_config.h"

namespace routewright {

class PolicyWeights;  // policy/model/policy_weights.h: named f32 tensors on the CPU

// The keys and values of one episode's tokens so far. Grows as tokens are decoded;
// movable. Owned by the caller.
class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual int64_t num_tokens() const = 0;
};

// Tokens of one episode to be run in a Decode call, after those in `cache`.
struct DecodeRow {
  KvCache* cache = nullptr;
  std::span<const uint32_t> token_ids;  // not empty
  bool wants_all_logits = false;        // logits of every token instead of the last one only
  bool wants_logits = true;             // false: none at all (a chunk in the middle of a prompt)
};

// How a token is drawn from a row's last logits: as SampleToken does with these, or
// SampleTokenAmong if only some tokens are allowed.
struct TokenDraw {
  double temperature = 1.0;
  uint64_t key = 0;
  uint64_t counter = 0;
  std::span<const uint32_t> allowed = {};  // ascending, ids < V; empty: all
};

// Tokens of one episode to be run in a Sample call, after those in `cache`.
struct SampleRow {
  KvCache* cache = nullptr;
  std::span<const uint32_t> token_ids;  // not empty
  std::optional<TokenDraw> draw;  // unset: nothing is drawn (a chunk in the middle of a prompt)
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual const ModelConfig& config() const = 0;
  virtual std::unique_ptr<KvCache> NewCache() = 0;
  // A cache that holds the first num_tokens of `cache`'s tokens, as if they had been run
  // again; shares memory with it.
  virtual std::unique_ptr<KvCache> ForkCache(const KvCache& cache, int64_t num_tokens) = 0;
  // Runs every row's tokens; rows have caches of their own. Returns for each row [n, V] f32 logits,
  // row-major, n = 0, 1 or its number of tokens. Fails, with no cache changed: kOutOfRange if a row
  // would pass max_positions; kInvalidArgument if an id is ≥ V. One thread calls.
  virtual absl::StatusOr<std::vector<std::vector<float>>> Decode(
      std::span<const DecodeRow> rows) = 0;
  // Runs the rows as Decode does, and draws a token after each row that has a draw, where the logits
  // lie: an engine on a device gives the host tokens alone. Returns one for each row; one without a
  // draw is {}. Fails as Decode does. One thread calls.
  virtual absl::StatusOr<std::vector<SampledToken>> Sample(std::span<const SampleRow> rows) = 0;
  // Replaces the weights; caches made before stay readable but mix versions if
  // they are used on: drop them.
  virtual absl::Status SetWeights(std::shared_ptr<const PolicyWeights> weights) = 0;
};

// The engine of policy/decoder/cpu_decoder.cc. Packs the weights anew; `weights` need not outlive the call.
// Fails: kFailedPrecondition naming the tensor that is missing or misshapen.
absl::StatusOr<std::unique_ptr<Decoder>> NewCpuDecoder(const ModelConfig& config,
                                                       std::shared_ptr<const PolicyWeights> weights,
                                                       int num_threads);

}  // namespace routewright
