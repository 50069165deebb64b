// A critic without a trunk of its own: one linear function of the policy's hidden states, with its
// own optimizer, learning rate and clipping. Its gradient goes on into the policy's trunk. One
// thread; every rank runs the same sequence, with no rows where it has no tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include "absl/status/status.h"
#include "policy/model/model_config.h"
#include "trainer/sharding/rank_groups.h"
#include "trainer/sharding/sharded_weights.h"
#include "trainer/update/trainable_weights.h"

namespace routewright {

class ValueHead {
 public:
  // `groups` must outlive this object.
  ValueHead(const ModelConfig& config, WeightOptions options, const RankGroups* groups);

  TrainableWeights& weights() { return weights_; }
  GradientReducer& gradients() { return weights_.weights().gradients(); }
  const TrainableWeights& weights() const { return weights_; }

  // Values are 0 everywhere from now on. Collective; fails as the collectives do.
  absl::Status Initialize();

  // [N] f32 of hidden [N, C], any floating type.
  at::Tensor Values(const at::Tensor& hidden);
  // Adds the weights' gradients; returns d(loss)/d(hidden) [N, C] in hidden's type. Once for each
  // Values call that is learnt from.
  at::Tensor Backward(const at::Tensor& hidden, const at::Tensor& d_values);

 private:
  const int64_t width_;
  TrainableWeights weights_;
};

}  // namespace routewright
