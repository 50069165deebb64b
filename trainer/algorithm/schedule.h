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

}  // namespace routewright
