// The policy as the rollout workers run it on CPU: incremental, f32, no LibTorch. Every row's numbers depend on that
// row's tokens alone: not on the other rows of the call, on how a prompt was cut into chunks or on the number of
// threads. So what an episode samples is the same in any batch, on any worker, bitwise.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/model_config.h"

namespace switchyard {

class PolicyWeights;  // policy/policy_weights.h: named f32 tensors on the CPU

// The keys and values of one episode's tokens so far. Grows as tokens are decoded; movable. Owned by the caller.
class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual int64_t num_tokens() const = 0;
};

// Tokens of one episode to be run in a Decode call, after those in `cache`.
struct DecodeRow {
  KvCache* cache = nullptr;
  std::span<const uint32_t> token_ids;   // not empty
  bool wants_all_logits = false;         // logits of every token instead of the last one only
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual const ModelConfig& config() const = 0;
  virtual std::unique_ptr<KvCache> NewCache() = 0;
  // Runs every row's tokens. Returns for each row [n, V] f32 logits, row-major, n = 1 or its number of tokens.
  // Fails: kOutOfRange if a row would pass max_positions; kInvalidArgument if an id is ≥ V. One thread calls.
  virtual absl::StatusOr<std::vector<std::vector<float>>> Decode(std::span<const DecodeRow> rows) = 0;
  // Replaces the weights; caches made before stay readable but mix versions if they are used on: drop them.
  virtual absl::Status SetWeights(std::shared_ptr<const PolicyWeights> weights) = 0;
};

absl::StatusOr<std::unique_ptr<Decoder>> NewCpuDecoder(const ModelConfig& config,
                                                       std::shared_ptr<const PolicyWeights> weights,
                                                       int num_threads);

}  // namespace switchyard
