#include "trainer/algorithm/update_passes.h"

#include "common/config/algorithm_facts.h"

namespace routewright {

bool HasReference(const TrainerConfig& config) {
  const bool has_penalty = config.loss().kl_coefficient() > 0.0 || config.loss().kl_target() > 0.0;
  return !FactsOf(config).learns_from_demonstrations() && has_penalty;
}

bool ScoresOldPolicy(const TrainerConfig& config) {
  return config.loss().importance_cap() > 0.0 &&
         (config.mini_batches() > 1 || config.epochs_per_batch() > 1);
}

bool HasCritic(const TrainerConfig& config) {
  return FactsOf(config).needs_critic() && !config.critic().shares_trunk();
}

bool HasValueHead(const TrainerConfig& config) {
  return FactsOf(config).needs_critic() && config.critic().shares_trunk();
}

}  // namespace routewright
