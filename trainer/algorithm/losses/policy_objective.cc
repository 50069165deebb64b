#include "trainer/algorithm/losses/policy_objective.h"

#include <cmath>

#include "trainer/algorithm/losses/kl.h"
#include "trainer/algorithm/losses/policy_loss.h"

namespace routewright {
namespace {

void AddKl(const LossConfig& config, const ObjectiveInput& input, Objective& objective) {
  const bool is_in_loss = config.kl_placement() == LossConfig::KL_PLACEMENT_LOSS;
  const double weight = is_in_loss ? input.kl_coefficient / input.normalizer : 0.0;
  for (size_t i = 0; i < input.reference_logprobs.size(); ++i) {
    const double logprob = input.logprobs[i];
    const double reference = input.reference_logprobs[i];
    const double kl = KlPenalty(config.kl_estimator(), logprob, reference);
    objective.sums.kl += kl;
    objective.sums.loss += weight * kl;
    objective.d_logprobs[i] +=
        weight * KlPenaltyGradient(config.kl_estimator(), logprob, reference);
  }
}

void AddEntropyBonus(double coefficient, const ObjectiveInput& input, Objective& objective) {
  const double weight = coefficient / input.normalizer;
  objective.d_entropies.assign(input.entropies.size(), -weight);
  for (double entropy : input.entropies) {
    objective.sums.entropy += entropy;
    objective.sums.loss -= weight * entropy;
  }
}

}  // namespace

Objective PolicyObjective(const LossConfig& config, const ObjectiveInput& input) {
  const size_t n = input.logprobs.size();
  const bool is_corrected = config.importance_cap() > 0.0;
  const auto trainer_old = input.old_logprobs.empty() ? input.logprobs : input.old_logprobs;
  std::vector<double> weights(n, 1.0);
  if (is_corrected) {
    weights =
        TruncatedImportanceWeights(trainer_old, input.sampler_logprobs, config.importance_cap());
  }
  Objective objective;
  for (size_t i = 0; i < n; ++i) {
    objective.sums.importance_weight += weights[i];
    objective.sums.sampler_gap += std::abs(input.logprobs[i] - input.sampler_logprobs[i]);
    weights[i] /= input.normalizer;
  }
  PolicyLoss loss =
      ClippedPolicyLoss({.logprobs = input.logprobs,
                         .old_logprobs = is_corrected ? trainer_old : input.sampler_logprobs,
                         .advantages = input.advantages,
                         .weights = weights},
                        config.clip_low(), config.clip_high());
  objective.d_logprobs = std::move(loss.d_logprobs);
  objective.sums.loss = loss.loss;
  objective.sums.old_minus_new = loss.old_minus_new;
  objective.sums.clipped_tokens = static_cast<double>(loss.clipped_tokens);
  objective.sums.tokens = static_cast<double>(n);
  AddKl(config, input, objective);
  AddEntropyBonus(config.entropy_coefficient(), input, objective);
  return objective;
}

Objective SupervisedObjective(const LossConfig& /*config*/, const ObjectiveInput& input) {
  Objective objective;
  objective.d_logprobs.assign(input.logprobs.size(), -1.0 / input.normalizer);
  for (double logprob : input.logprobs) objective.sums.loss -= logprob / input.normalizer;
  objective.sums.tokens = static_cast<double>(input.logprobs.size());
  AddEntropyBonus(/*coefficient=*/0.0, input, objective);
  return objective;
}

}  // namespace routewright
