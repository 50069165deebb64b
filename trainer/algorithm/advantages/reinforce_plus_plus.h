// REINFORCE++: no critic; one scale for the whole batch. Pure; any thread. Source: Hu et al. 2025 (arXiv 2501.03262).
#pragma once

#include "trainer/algorithm/advantages/estimator.h"

namespace routewright {

// Each policy token's return Σ_k γ^k·r of the policy tokens from it on (γ = config.advantage().gamma()), whitened over
// the batch's policy tokens.
Credit EstimateReinforcePlusPlus(const TrainerConfig& config, const EstimatorInput& input);

// The trajectory's sum minus the mean of its group, on each of its policy tokens, whitened over them.
Credit EstimateReinforcePlusPlusBaseline(const TrainerConfig& config, const EstimatorInput& input);

}  // namespace routewright
