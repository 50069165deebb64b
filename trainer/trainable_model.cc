#include "trainer/trainable_model.h"

#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "policy/flat_weights.h"
#include "trainer/adamw.h"

namespace switchyard {

TrainableModel::TrainableModel(const ModelConfig& config, HeadKind head, WeightOptions options,
                               Communicator* communicator)
    : weights_(ParameterLayout(config, head), std::move(options), communicator),
      transformer_(config, head, &weights_),
      communicator_(communicator) {
  for (int b = 0; b < weights_.num_blocks(); ++b) {
    first_moments_.push_back(at::zeros_like(weights_.parameters(b)));
    second_moments_.push_back(at::zeros_like(weights_.parameters(b)));
  }
}

absl::Status TrainableModel::Load(const PolicyWeights& weights) {
  for (at::Tensor& moments : first_moments_) moments.zero_();
  for (at::Tensor& moments : second_moments_) moments.zero_();
  optimizer_steps_ = 0;
  return weights_.Load(weights);
}

absl::Status TrainableModel::Restore(const ModelState& state) {
  SY_RETURN_IF_ERROR(weights_.Load(*state.weights));
  SY_RETURN_IF_ERROR(LoadMoments(*state.first_moments, first_moments_));
  SY_RETURN_IF_ERROR(LoadMoments(*state.second_moments, second_moments_));
  optimizer_steps_ = state.optimizer_steps;
  return absl::OkStatus();
}

absl::Status TrainableModel::LoadMoments(const PolicyWeights& values,
                                         std::vector<at::Tensor>& moments) {
  SY_ASSIGN_OR_RETURN(const auto blocks, FlattenWeights(values, weights_.layout()));
  moments = BlocksToDevice(blocks, weights_.options().device);
  return absl::OkStatus();
}

ModelState TrainableModel::Save() const {
  return {.weights = weights_.Export(),
          .first_moments = BlocksToWeights(first_moments_, weights_.layout()),
          .second_moments = BlocksToWeights(second_moments_, weights_.layout()),
          .optimizer_steps = optimizer_steps_};
}

absl::Status TrainableModel::Synchronize() {
  SY_RETURN_IF_ERROR(weights_.Synchronize());
  const std::string& name = weights_.options().name;
  for (int b = 0; b < weights_.num_blocks(); ++b) {
    const std::string& block = weights_.layout().blocks()[b].name;
    SY_RETURN_IF_ERROR(BroadcastTensor(
        *communicator_, absl::StrCat("first_moments/", name, "/", block), first_moments_[b]));
    SY_RETURN_IF_ERROR(BroadcastTensor(
        *communicator_, absl::StrCat("second_moments/", name, "/", block), second_moments_[b]));
  }
  const CommBuffer clock{.data = &optimizer_steps_, .num_elements = 1, .type = CommType::kInt64};
  return communicator_->Broadcast(absl::StrCat("optimizer_steps/", name), clock, /*root=*/0)
      ->Wait();
}

absl::StatusOr<double> TrainableModel::OptimizerStep(const OptimizerConfig& config,
                                                     double learning_rate) {
  double squared_norm = 0.0;
  for (int b = 0; b < weights_.num_blocks(); ++b)
    squared_norm += SquaredNorm(weights_.gradients(b));
  const double norm = std::sqrt(squared_norm);
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
    for (const DecayRange& range : DecayRanges(weights_.layout().blocks()[b])) {
      const auto part = [&](const at::Tensor& block) {
        return block.narrow(/*dim=*/0, range.first, range.count);
      };
      UpdateAdamW(settings, range.is_decayed, part(weights_.gradients(b)),
                  part(weights_.parameters(b)), part(first_moments_[b]), part(second_moments_[b]));
    }
  }
  weights_.WeightsChanged();
  return norm;
}

}  // namespace switchyard
