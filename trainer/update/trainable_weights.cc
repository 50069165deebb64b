#include "trainer/update/trainable_weights.h"

#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "trainer/update/device_span.h"
#include "trainer/update/saved_part.h"
#include "trainer/update/scoring.h"

namespace routewright {

TrainableWeights::TrainableWeights(const ParameterLayout& layout, WeightOptions options,
                                   const RankGroups* groups)
    : weights_(layout, std::move(options), groups) {
  for (int b = 0; b < weights_.num_blocks(); ++b) {
    first_moments_.push_back(at::zeros_like(weights_.masters(b)));
    second_moments_.push_back(at::zeros_like(weights_.masters(b)));
  }
}

absl::Status TrainableWeights::Load(const TensorSource* weights) {
  for (const at::Tensor& moments : first_moments_) moments.zero_();
  for (const at::Tensor& moments : second_moments_) moments.zero_();
  optimizer_steps_ = 0;
  return weights_.Load(weights);
}

absl::Status TrainableWeights::Restore(const CheckpointReader& checkpoint,
                                       const std::string& name) {
  optimizer_steps_ = checkpoint.OptimizerSteps(name);
  for (int b = 0; b < weights_.num_blocks(); ++b) {
    const auto read = [&](StateKind kind, const at::Tensor& share) {
      return ReadShare(checkpoint, name, kind, weights_, b, share);
    };
    RW_RETURN_IF_ERROR(read(StateKind::kWeights, weights_.masters(b)));
    RW_RETURN_IF_ERROR(read(StateKind::kFirstMoments, first_moments_[b]));
    RW_RETURN_IF_ERROR(read(StateKind::kSecondMoments, second_moments_[b]));
  }
  return weights_.MastersChanged();
}

ModelShare TrainableWeights::Share(HostCopy& copy) const {
  ModelShare share;
  share.optimizer_steps = optimizer_steps_;
  for (int b = 0; b < weights_.num_blocks(); ++b) {
    share.weights.push_back(PartToSave(weights_, b, weights_.masters(b), copy));
    share.first_moments.push_back(PartToSave(weights_, b, first_moments_[b], copy));
    share.second_moments.push_back(PartToSave(weights_, b, second_moments_[b], copy));
  }
  return share;
}

absl::StatusOr<double> TrainableWeights::GradientNorm() {
  double squared = weights_.gradients().SquaredNormOfPiece();
  RW_RETURN_IF_ERROR(SumOverRanks(weights_.groups().world(),
                                  absl::StrCat("gradient_norm/", weights_.options().name),
                                  {&squared, 1}));
  return std::sqrt(squared);
}

absl::StatusOr<double> TrainableWeights::OptimizerStep(const OptimizerConfig& config,
                                                       double learning_rate) {
  const DeviceSpan span("optimizer step", weights_.options().device);
  RW_ASSIGN_OR_RETURN(const double norm, GradientNorm());
  if (!std::isfinite(norm)) {
    return absl::InternalError(absl::StrCat(
        "the gradient norm of the ", weights_.options().name, " is ", norm,
        "; the weights were not changed. Lower trainer.optimizer.learning_rate, and resume from "
        "the last checkpoint"));
  }
  const double limit = config.max_gradient_norm();
  const double scale = limit > 0.0 && norm > limit ? limit / norm : 1.0;
  const AdamWSettings settings =
      MakeAdamWSettings(config, learning_rate, ++optimizer_steps_, scale);
  for (int b = 0; b < weights_.num_blocks(); ++b) {
    UpdateBlock(b, settings);
    weights_.MasterChanged(b);
  }
  RW_RETURN_IF_ERROR(weights_.FinishChanges());
  return norm;
}

// The share's part of every range that decays alike; the padding stays zero.
void TrainableWeights::UpdateBlock(int block, const AdamWSettings& settings) {
  const BlockShard& shard = weights_.shards()[block];
  const at::Tensor gradients = weights_.gradients().gradients(block).to(weights_.master_device());
  for (const DecayRange& range : DecayRanges(weights_.layout().blocks()[block])) {
    const int64_t first = std::max(range.first, shard.begin);
    const int64_t end = std::min(range.first + range.count, shard.begin + shard.count);
    if (first >= end) continue;
    const auto part = [&](const at::Tensor& share) {
      return share.narrow(/*dim=*/0, first - shard.begin, end - first);
    };
    UpdateAdamW(settings, range.is_decayed, part(gradients), part(weights_.masters(block)),
                part(first_moments_[block]), part(second_moments_[block]));
  }
}

}  // namespace routewright
