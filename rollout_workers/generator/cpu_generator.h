// The generator of workers without a GPU: batching over the CPU decoder.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "policy/model/model_config.h"
#include "proto/config.pb.h"
#include "rollout_workers/generator/generator.h"

namespace routewright {

class Tokenizer;

// As NewBatchedGenerator. `policy_version` is that of `weights`. Fails: kFailedPrecondition naming
// the tensor that is missing or misshapen.
absl::StatusOr<std::unique_ptr<Generator>> NewCpuGenerator(
    const ModelConfig& config, std::shared_ptr<const PolicyWeights> weights,
    const Tokenizer* tokenizer, const WorkerConfig& worker_config, int64_t policy_version = 0);

}  // namespace routewright
