#include "trainer/algorithm/credit.h"

#include <algorithm>
#include <cmath>

#include "common/config/algorithm_facts.h"
#include "common/trajectory_facts.h"
#include "trainer/algorithm/algorithms.h"
#include "trainer/algorithm/losses/kl.h"

namespace routewright {
namespace {

// [N] what each policy token is paid: −β·KL, and the trajectory's reward at its last one.
std::vector<double> TokenRewards(const TrainerConfig& trainer, const Batch& batch,
                                 const CreditInput& input) {
  const LossConfig& config = trainer.loss();
  std::vector<double> rewards(batch.num_scored(), 0.0);
  const bool has_penalty =
      config.kl_placement() == LossConfig::KL_PLACEMENT_REWARD && !input.reference_logprobs.empty();
  const LossConfig::KlEstimator estimator = KlEstimatorOf(config);
  for (int64_t n = 0; has_penalty && n < batch.num_scored(); ++n) {
    const uint8_t name = batch.names_model.empty() ? 0 : batch.names_model[n];
    if (name == kNamesTrial) continue;  // not drawn from the policy: no sample of its KL
    rewards[n] = -input.kl_coefficient *
                 (name == kNamesModel ? trainer.routing().kl_weight() : 1.0) *
                 KlPenalty(estimator, input.old_logprobs[n], input.reference_logprobs[n]);
  }
  for (int64_t b = 0; b < batch.num_trajectories(); ++b) {
    rewards[batch.scored_offsets[b + 1] - 1] += batch.rewards[b];
  }
  return rewards;
}

// In place: a trial that went badly says little of a policy that would not have made it.
void WeighTrials(const Batch& batch, std::vector<double>& advantages) {
  for (size_t b = 0; b < batch.trial_weights.size(); ++b) {
    if (batch.trial_weights[b] == 1.0) continue;
    for (int64_t n = batch.scored_offsets[b]; n < batch.scored_offsets[b + 1]; ++n) {
      if (advantages[n] < 0.0) advantages[n] *= batch.trial_weights[b];
    }
  }
}

}  // namespace

Credit AssignCredit(const TrainerConfig& config, const Batch& batch, const CreditInput& input) {
  std::vector<double> token_rewards;
  if (!FactsOf(config).learns_from_demonstrations()) {
    token_rewards = TokenRewards(config, batch, input);
  }
  Credit credit = AlgorithmOf(config).estimate(
      config, {.batch = batch, .token_rewards = token_rewards, .values = input.values});
  WeighTrials(batch, credit.advantages);
  return credit;
}

std::vector<float> TokenAdvantages(size_t place, std::span<const size_t> places, const Batch& batch,
                                   std::span<const double> advantages) {
  const auto found = std::find(places.begin(), places.end(), place);
  if (found == places.end() || std::ssize(advantages) != batch.num_scored()) return {};
  const int64_t b = found - places.begin();
  std::vector<float> result(batch.length(b), std::nanf(""));
  for (int64_t n = batch.scored_offsets[b]; n < batch.scored_offsets[b + 1]; ++n) {
    result[batch.scored[n]] = static_cast<float>(advantages[n]);
  }
  return result;
}

}  // namespace routewright
