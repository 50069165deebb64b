#include "trainer/trainable_weights.h"

#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "trainer/scoring.h"

namespace switchyard {

TrainableWeights::TrainableWeights(const ParameterLayout& layout, WeightOptions options,
                                   const RankGroups* groups)
    : weights_(layout, std::move(options), groups) {
  for (int b = 0; b < weights_.num_blocks(); ++b) {
    first_moments_.push_back(at::zeros_like(weights_.masters(b)));
    second_moments_.push_back(at::zeros_like(weights_.masters(b)));
  }
}

absl::Status TrainableWeights::Load(const PolicyWeights* weights) {
  for (const at::Tensor& moments : first_moments_) moments.zero_();
  for (const at::Tensor& moments : second_moments_) moments.zero_();
  optimizer_steps_ = 0;
  return weights_.Load(weights);
}

absl::Status TrainableWeights::Restore(const ModelState* state) {
  const auto scatter = [&](const char* what, const PolicyWeights* values,
                           const std::vector<at::Tensor>& moments) {
    return ScatterWeights(absl::StrCat(what, "/", weights_.options().name), values,
                          weights_.layout(), weights_.groups(), moments);
  };
  const bool is_root = state != nullptr;
  SY_RETURN_IF_ERROR(weights_.Load(is_root ? state->weights.get() : nullptr));
  SY_RETURN_IF_ERROR(
      scatter("first_moments", is_root ? state->first_moments.get() : nullptr, first_moments_));
  SY_RETURN_IF_ERROR(
      scatter("second_moments", is_root ? state->second_moments.get() : nullptr, second_moments_));
  if (is_root) optimizer_steps_ = state->optimizer_steps;
  const CommBuffer clock{.data = &optimizer_steps_, .num_elements = 1, .type = CommType::kInt64};
  return weights_.groups()
      .world()
      .Broadcast(absl::StrCat("optimizer_steps/", weights_.options().name), clock, /*root=*/0)
      ->Wait();
}

absl::StatusOr<ModelState> TrainableWeights::Save() const {
  const auto gather = [&](const char* what, const std::vector<at::Tensor>& moments) {
    return GatherWeights(absl::StrCat(what, "/", weights_.options().name), weights_.layout(),
                         weights_.groups(), moments);
  };
  ModelState state;
  SY_ASSIGN_OR_RETURN(state.weights, weights_.Export());
  SY_ASSIGN_OR_RETURN(state.first_moments, gather("first_moments", first_moments_));
  SY_ASSIGN_OR_RETURN(state.second_moments, gather("second_moments", second_moments_));
  state.optimizer_steps = optimizer_steps_;
  return state;
}

absl::StatusOr<double> TrainableWeights::GradientNorm() {
  double squared = weights_.gradients().SquaredNormOfPiece();
  SY_RETURN_IF_ERROR(SumOverRanks(weights_.groups().world(),
                                  absl::StrCat("gradient_norm/", weights_.options().name),
                                  {&squared, 1}));
  return std::sqrt(squared);
}

absl::StatusOr<double> TrainableWeights::OptimizerStep(const OptimizerConfig& config,
                                                       double learning_rate) {
  SY_ASSIGN_OR_RETURN(const double norm, GradientNorm());
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
  SY_RETURN_IF_ERROR(weights_.FinishChanges());
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

}  // namespace switchyard
