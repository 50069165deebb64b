// A model that learns: the transformer, its weights and its optimizer's state, as one unit, each
// rank with its share. The
// policy is one, PPO's critic another. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/policy_weights.h"
#include "policy/transformer.h"
#include "proto/config.pb.h"
#include "trainer/adamw.h"
#include "trainer/model_state.h"
#include "trainer/sharded_weights.h"

namespace switchyard {

class TrainableModel {
 public:
  // `groups` must outlive this object. Weights are zero until Load or Restore.
  TrainableModel(const ModelConfig& config, HeadKind head, TransformerOptions transformer_options,
                 WeightOptions options, const RankGroups* groups);

  // Collective. Rank 0 gives weights or a state, the others nullptr. Load starts the optimizer
  // anew. Fail: kFailedPrecondition naming a tensor that is missing; as the collectives do.
  absl::Status Load(const PolicyWeights* weights);
  absl::Status Restore(const ModelState* state);
  // Collective; rank 0's is the state, the others' is empty.
  absl::StatusOr<ModelState> Save() const;

  Transformer& transformer() { return transformer_; }
  ShardedWeights& weights() { return weights_; }
  const ShardedWeights& weights() const { return weights_; }

  // Collective. The gradients are finished: clips them by their global norm and updates the
  // weights. Returns the norm before clipping. Fails: kInternal if it is not finite; the weights
  // are then as before. As the collectives do.
  absl::StatusOr<double> OptimizerStep(const OptimizerConfig& config, double learning_rate);

 private:
  absl::StatusOr<double> GradientNorm();
  void UpdateBlock(int block, const AdamWSettings& settings);

  ShardedWeights weights_;
  Transformer transformer_;
  std::vector<at::Tensor> first_moments_;  // f32 [count] per block, this rank's share
  std::vector<at::Tensor> second_moments_;
  int64_t optimizer_steps_ = 0;
};

}  // namespace switchyard
