// GRPO's advantage: a trajectory's score against the other episodes of its question (its group).
// Pure; any thread. Source: Shao et al. 2024 (arXiv 2402.03300), section 4.1.2.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/algorithm/advantages/estimator.h"

namespace routewright {

// (score − mean) / (std + 1e-6) within each group, std of n − 1. A group of
// one has mean 0 and std 1.
//   scores [B] finite;  groups [B] any ids, equal within a group      returns [B]
std::vector<double> GroupAdvantages(std::span<const double> scores,
                                    std::span<const int64_t> groups);

// GroupAdvantages of the trajectories' summed token rewards, on each of their policy tokens.
Credit EstimateByGroup(const TrainerConfig& config, const EstimatorInput& input);

}  // namespace routewright
