// A policy's weights as the CPU decoder wants them: matrices that read the same activations are
// joined, and all are packed for RowLinear. Immutable after Pack; any thread.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "kernels/row_linear/row_linear.h"
#include "policy/model/model_config.h"
#include "policy/model/policy_weights.h"

namespace routewright {

struct PackedLayer {
  std::vector<float> attention_norm;  // [C]
  PackedMatrix qkv;                   // [(H + 2 num_kv_heads) D, C]: queries, keys, values
  std::vector<float> qkv_bias;        // the same outputs; empty if the policy has none
  std::vector<float> query_norm;      // [D]; empty if the policy has none
  std::vector<float> key_norm;        // [D]
  PackedMatrix attention_output;      // [C, H D]
  std::vector<float> mlp_norm;        // [C]
  PackedMatrix gate_up;               // [2 intermediate_width, C]: gates, then ups
  PackedMatrix down;                  // [C, intermediate_width]
};

struct PackedWeights {
  std::vector<float> embedding;  // [V, C]; empty if tied: then the head's rows are looked up
  std::vector<PackedLayer> layers;
  std::vector<float> final_norm;  // [C]
  PackedMatrix head;              // [V, C]

  // Fails: kFailedPrecondition naming the tensor that is missing or misshapen.
  static absl::StatusOr<PackedWeights> Pack(const ModelConfig& config,
                                            const PolicyWeights& weights);
  // The token's embedding into row[C].
  void Embed(uint32_t token_id, float* row) const;
};

}  // namespace routewright
