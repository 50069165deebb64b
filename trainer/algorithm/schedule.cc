#include "trainer/algorithm/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/config/algorithm_facts.h"

namespace routewright {

double ScheduledLearningRate(const OptimizerConfig& config, double peak, int64_t step,
                             int64_t num_steps) {
  const int64_t warmup = config.warmup_steps();
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double decay_steps = std::max<double>(1.0, num_steps - 1 - warmup);
  const double progress = std::clamp((step - warmup) / decay_steps, 0.0, 1.0);
  const double end = config.final_learning_rate_ratio();
  switch (config.schedule()) {
    case OptimizerConfig::SCHEDULE_LINEAR:
      return peak * (1.0 + (end - 1.0) * progress);
    case OptimizerConfig::SCHEDULE_COSINE:
      return peak * (end + (1.0 - end) * 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
    default:
      return peak;
  }
}

int64_t CriticWarmupSteps(const TrainerConfig& config) {
  return FactsOf(config).needs_critic() ? config.critic().warmup_steps() : 0;
}

double PolicyLearningRate(const TrainerConfig& config, int64_t step) {
  const int64_t begin = CriticWarmupSteps(config);
  if (step < begin) return 0.0;
  return ScheduledLearningRate(config.optimizer(), config.optimizer().learning_rate(), step - begin,
                               config.steps() - begin);
}

}  // namespace routewright
