#include "trainer/update/value_head.h"

#include <ATen/ops/add.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/outer.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace routewright {

ValueHead::ValueHead(const ModelConfig& config, WeightOptions options, const RankGroups* groups)
    : width_(config.width),
      weights_(ParameterLayout::OfValueHead(config), std::move(options), groups) {}

absl::Status ValueHead::Initialize() {
  const ShardedWeights& weights = weights_.weights();
  if (weights.groups().world().rank() != 0) return weights_.Load(nullptr);
  const TensorSource zeros = [](const TensorSlot& slot) -> absl::StatusOr<HostTensor> {
    return HostTensor{slot.shape, std::vector<float>(slot.num_elements, 0.0f)};
  };
  return weights_.Load(&zeros);
}

at::Tensor ValueHead::Values(const at::Tensor& hidden) {
  const at::Tensor flat = weights_.weights().AcquireWeights(/*block=*/0).to(at::kFloat);
  at::Tensor values = at::mv(hidden.to(at::kFloat), flat.narrow(0, 0, width_));
  values += flat.narrow(0, width_, 1);
  weights_.weights().ReleaseWeights(/*block=*/0);
  return values;
}

at::Tensor ValueHead::Backward(const at::Tensor& hidden, const at::Tensor& d_values) {
  ShardedWeights& weights = weights_.weights();
  const at::Tensor flat = weights.AcquireWeights(/*block=*/0).to(at::kFloat);
  const at::Tensor d_hidden = at::outer(d_values, flat.narrow(0, 0, width_));
  weights.ReleaseWeights(/*block=*/0);
  const at::Tensor gradient = weights.GradientBuffer(/*block=*/0);
  gradient.narrow(0, 0, width_) += at::mv(hidden.to(at::kFloat).t(), d_values);
  gradient.narrow(0, width_, 1) += d_values.sum();
  weights.GradientReady(/*block=*/0);
  return d_hidden.to(hidden.scalar_type());
}

}  // namespace routewright
