#include "trainer/algorithm/update_passes.h"

namespace routewright {

bool HasReference(const TrainerConfig& config) {
  const bool has_penalty = config.loss().kl_coefficient() > 0.0 || config.loss().kl_target() > 0.0;
  return config.algorithm() != TrainerConfig::ALGORITHM_SUPERVISED && has_penalty;
}

bool ScoresOldPolicy(const TrainerConfig& config) {
  return config.loss().importance_cap() > 0.0 && config.mini_batches() > 1;
}

bool HasCritic(const TrainerConfig& config) {
  return config.algorithm() == TrainerConfig::ALGORITHM_PPO && !config.critic().shares_trunk();
}

bool HasValueHead(const TrainerConfig& config) {
  return config.algorithm() == TrainerConfig::ALGORITHM_PPO && config.critic().shares_trunk();
}

}  // namespace routewright
