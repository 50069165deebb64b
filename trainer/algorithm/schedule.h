// The learning rate over a run. Pure; any thread.
#pragma once

#include <cstdint>

#include "proto/config.pb.h"

namespace routewright {

// The rate of step `step` (0, 1, …) of `num_steps`: rises linearly over warmup_steps to `peak`,
// then stays (constant) or falls (linear, or half a cosine) to final_learning_rate_ratio × peak at
// the last step and stays there. `peak` is the optimizer's learning_rate, or the critic's.
double ScheduledLearningRate(const OptimizerConfig& config, double peak, int64_t step,
                             int64_t num_steps);

// The steps at a run's beginning in which the critic learns and the policy does not; 0 without a critic.
int64_t CriticWarmupSteps(const TrainerConfig& config);

// The policy's rate at a step: its schedule begins when the critic is warm.
double PolicyLearningRate(const TrainerConfig& config, int64_t step);

}  // namespace routewright
