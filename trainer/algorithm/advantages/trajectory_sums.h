// Between what tokens are paid and what trajectories are. Pure; any thread.
#pragma once

#include <span>
#include <vector>

#include "trainer/algorithm/advantages/estimator.h"

namespace routewright {

// [B] the sum of each trajectory's token rewards, [N].
std::vector<double> SumsOfTrajectories(const Batch& batch, std::span<const double> token_rewards);

// Each trajectory's advantage, [B], on each of its policy tokens.
Credit OnEveryToken(const Batch& batch, std::span<const double> advantages);

}  // namespace routewright
