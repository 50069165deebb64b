// A policy's weights as the CPU decoder wants them: matrices that read the same activations are
// joined, and all are packed for RowLinear. Immutable after Pack; any thread.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "kernels/row_linear/row_linear.h"
#include "policy/model/block_tensors.h"
#include "policy/model/model_config.h"
#include "policy/model/policy_weights.h"

namespace routewright {

// A block's tensor: of one dimension as it is, of two packed.
struct PackedTensor {
  std::vector<float> values;
  PackedMatrix matrix;
};

struct PackedWeights {
  std::vector<float> embedding;  // [V, C]; empty if tied: then the head's rows are looked up
  std::vector<BlockTensors<PackedTensor>> blocks;
  std::vector<float> final_norm;  // [C]
  PackedMatrix head;              // [V, C]

  // Fails: kFailedPrecondition naming the tensor that is missing or misshapen.
  static absl::StatusOr<PackedWeights> Pack(const ModelConfig& config,
                                            const PolicyWeights& weights);
  // The token's embedding into row[C].
  void Embed(uint32_t token_id, float* row) const;
};

}  // namespace routewright
