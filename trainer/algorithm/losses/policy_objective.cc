#include "trainer/algorithm/losses/policy_objective.h"

#include <cmath>

#include "common/trajectory_facts.h"
#include "trainer/algorithm/losses/kl.h"
#include "trainer/algorithm/losses/policy_loss.h"

namespace routewright {
namespace {

bool NamesModel(const ObjectiveInput& input, size_t i) {
  return !input.names_model.empty() && input.names_model[i] != 0;
}

// Trials are left out: what is estimated over tokens that the policy did not draw is no KL, and where it hardly ever names
// the model, it is huge.
void AddKl(const LossConfig& config, const ObjectiveInput& input, Objective& objective) {
  const bool is_in_loss = config.kl_placement() == LossConfig::KL_PLACEMENT_LOSS;
  const LossConfig::KlEstimator estimator = KlEstimatorOf(config);
  for (size_t i = 0; i < input.reference_logprobs.size(); ++i) {
    if (!input.names_model.empty() && input.names_model[i] == kNamesTrial) continue;
    const double logprob = input.logprobs[i];
    const double reference = input.reference_logprobs[i];
    objective.sums.kl += KlPenalty(LossConfig::KL_ESTIMATOR_LOW_VAR, logprob, reference);
    if (!is_in_loss) continue;
    const double weight = input.kl_coefficient * input.weights[i] *
                          (NamesModel(input, i) ? input.routing.kl_weight() : 1.0);
    objective.sums.loss += weight * KlPenalty(estimator, logprob, reference);
    objective.d_logprobs[i] += weight * KlPenaltyGradient(estimator, logprob, reference);
  }
}

// A bonus at every token, and another at those that name a model.
void AddEntropyBonus(double coefficient, double name_coefficient, const ObjectiveInput& input,
                     Objective& objective) {
  objective.d_entropies.resize(input.entropies.size());
  for (size_t i = 0; i < input.entropies.size(); ++i) {
    const bool names_model = NamesModel(input, i);
    const double entropy = input.entropies[i];
    const double weight = (coefficient + (names_model ? name_coefficient : 0.0)) * input.weights[i];
    objective.d_entropies[i] = -weight;
    objective.sums.loss -= weight * entropy;
    objective.sums.entropy += entropy;
    objective.sums.name_entropy += names_model ? entropy : 0.0;
    objective.sums.name_tokens += names_model;
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
    const double gap = std::abs(input.logprobs[i] - input.sampler_logprobs[i]);
    objective.sums.importance_weight += weights[i];
    objective.sums.sampler_gap += gap;
    weights[i] *= input.weights[i];
    if (!NamesModel(input, i)) weights[i] *= input.routing.other_tokens_weight();
  }
  PolicyLoss loss =
      ComputePolicyLoss({.logprobs = input.logprobs,
                         .old_logprobs = is_corrected ? trainer_old : input.sampler_logprobs,
                         .advantages = input.advantages,
                         .weights = weights,
                         .offsets = input.offsets},
                        config);
  objective.d_logprobs = std::move(loss.d_logprobs);
  objective.sums.loss = loss.loss;
  objective.sums.old_minus_new = loss.old_minus_new;
  objective.sums.clipped_tokens = static_cast<double>(loss.clipped_tokens);
  objective.sums.tokens = static_cast<double>(n);
  AddKl(config, input, objective);
  AddEntropyBonus(config.entropy_coefficient(), input.routing.entropy_coefficient(), input,
                  objective);
  return objective;
}

Objective SupervisedObjective(const LossConfig& /*config*/, const ObjectiveInput& input) {
  Objective objective;
  objective.d_logprobs.resize(input.logprobs.size());
  for (size_t i = 0; i < input.logprobs.size(); ++i) {
    objective.d_logprobs[i] = -input.weights[i];
    objective.sums.loss -= input.weights[i] * input.logprobs[i];
  }
  objective.sums.tokens = static_cast<double>(input.logprobs.size());
  AddEntropyBonus(/*coefficient=*/0.0, /*name_coefficient=*/0.0, input, objective);
  return objective;
}

}  // namespace routewright
