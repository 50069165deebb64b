// A model that learns: the transformer, its weights and its optimizer's state, as one unit. The
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
#include "trainer/comm/communicator.h"
#include "trainer/model_state.h"
#include "trainer/replicated_weights.h"

namespace switchyard {

class TrainableModel {
 public:
  // `communicator` must outlive this object. Weights are zero until Load or Restore.
  TrainableModel(const ModelConfig& config, HeadKind head, WeightOptions options,
                 Communicator* communicator);

  // Takes `weights` and starts the optimizer anew.
  absl::Status Load(const PolicyWeights& weights);
  absl::Status Restore(const ModelState& state);
  ModelState Save() const;
  // Every rank takes over rank 0's weights, moments and clock. Fails as the collectives do.
  absl::Status Synchronize();

  Transformer& transformer() { return transformer_; }
  ReplicatedWeights& weights() { return weights_; }
  const ReplicatedWeights& weights() const { return weights_; }

  // The gradients are complete on every rank: clips them by their global norm and updates the
  // weights. Returns the norm before clipping. Fails: kInternal if it is not finite; the weights
  // are then as before.
  absl::StatusOr<double> OptimizerStep(const OptimizerConfig& config, double learning_rate);

 private:
  absl::Status LoadMoments(const PolicyWeights& values, std::vector<at::Tensor>& moments);

  ReplicatedWeights weights_;
  Transformer transformer_;
  Communicator* const communicator_;
  std::vector<at::Tensor> first_moments_;  // f32 [P] per block
  std::vector<at::Tensor> second_moments_;
  int64_t optimizer_steps_ = 0;
};

}  // namespace switchyard
