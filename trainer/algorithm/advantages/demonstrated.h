// The advantage of what was demonstrated: every policy token is worth imitating, and equally so. Pure; any thread.
#pragma once

#include "trainer/algorithm/advantages/estimator.h"

namespace routewright {

// 1 for every policy token.
Credit EstimateDemonstrated(const TrainerConfig& config, const EstimatorInput& input);

}  // namespace routewright
