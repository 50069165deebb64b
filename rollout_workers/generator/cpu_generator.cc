#include "rollout_workers/generator/cpu_generator.h"

#include <utility>

#include "common/status_macros.h"
#include "policy/decoder/decoder.h"
#include "rollout_workers/generator/batched_generator.h"

namespace routewright {

absl::StatusOr<std::unique_ptr<Generator>> NewCpuGenerator(
    const ModelConfig& config, std::shared_ptr<const PolicyWeights> weights,
    const Tokenizer* tokenizer, const WorkerConfig& worker_config, int64_t policy_version) {
  RW_ASSIGN_OR_RETURN(std::unique_ptr<Decoder> decoder,
                      NewCpuDecoder(config, std::move(weights), worker_config.threads()));
  return NewBatchedGenerator(std::move(decoder), tokenizer, worker_config, policy_version);
}

}  // namespace routewright
