// A model's weights and its optimizer's state as one unit, each rank with its share: the policy's,
// and with PPO the critic's. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/formats/tensor_source.h"
#include "proto/config.pb.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/state_share.h"
#include "trainer/sharding/adamw.h"
#include "trainer/sharding/sharded_weights.h"
#include "trainer/update/host_copy.h"

namespace routewright {

class TrainableWeights {
 public:
  // `groups` must outlive this object. Weights are zero until Load or Restore.
  TrainableWeights(const ParameterLayout& layout, WeightOptions options, const RankGroups* groups);

  // Collective. Rank 0 gives weights, the others nullptr; the optimizer starts anew. Fails as the
  // source does on rank 0; as the collectives do.
  absl::Status Load(const TensorSource* weights);
  // Each rank reads its own share of the model `name`, and all end with the same. Collective;
  // fails: as the reader does, alone; as the collectives do.
  absl::Status Restore(const CheckpointReader& checkpoint, const std::string& name);
  // What this rank puts into a checkpoint. Valid as `copy` says.
  ModelShare Share(HostCopy& copy) const;

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
  std::vector<at::Tensor> first_moments_;  // f32 [count] per block, this rank's share
  std::vector<at::Tensor> second_moments_;
  int64_t optimizer_steps_ = 0;
};

}  // namespace routewright
