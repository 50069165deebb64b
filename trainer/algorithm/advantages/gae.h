// Generalised advantage estimation over one trajectory's policy tokens: credit flows from each
// policy token to the policy token before it, and passes over observations as if they were not
// there. Pure; any thread. Source: Schulman et al. 2015 (arXiv 1506.02438), equations 11–16.
#pragma once

#include <span>
#include <vector>

#include "trainer/algorithm/advantages/estimator.h"

namespace routewright {

struct GaeResult {
  // [N] Â_t = δ_t + γλ·Â_{t+1}, δ_t = r_t + γ·V_{t+1} − V_t, V after the last = 0.
  std::vector<double> advantages;
  std::vector<double> returns;  // [N] Â + V: what the critic learns to predict
};

// rewards, values [N]: of the trajectory's policy tokens in order, equally long.
GaeResult Gae(std::span<const double> rewards, std::span<const double> values, double gamma,
              double lambda);

// Gae of each trajectory with the critic's gamma and lambda; the advantages are then whitened over
// the batch. `input.values` is [N].
Credit EstimateByGae(const TrainerConfig& config, const EstimatorInput& input);

}  // namespace routewright
