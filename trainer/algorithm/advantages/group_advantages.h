// What a trajectory earned against the other episodes of its question (its group): GRPO, RLOO, and the baseline of
// REINFORCE++. Pure; any thread. Sources, each beside its function.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/algorithm/advantages/estimator.h"

namespace routewright {

// score − mean of the group, over a standard deviation (of n − 1) + 1e-6: the group's, the whole batch's, or not
// divided. A group of one has mean 0 and standard deviation 1. Shao et al. 2024 (GRPO, arXiv 2402.03300), section 4.1.2;
// not divided: Liu et al. 2025 (Dr. GRPO, 2503.20783); the batch's: Hu et al. 2025 (2508.08221, "lite PPO").
//   scores [B] finite;  groups [B] any ids, equal within a group      returns [B]
std::vector<double> GroupAdvantages(std::span<const double> scores, std::span<const int64_t> groups,
                                    AdvantageConfig::Scale scale);

// score − mean of the others of the group; 0 in a group of one. Ahmadian et al. 2024 (RLOO, arXiv 2402.14740).
std::vector<double> LeaveOneOutAdvantages(std::span<const double> scores,
                                          std::span<const int64_t> groups);

// Estimators: one advantage a trajectory, on each of its policy tokens, from its summed token rewards.
//
// GroupAdvantages with config.advantage(). With components_apart the score and the cost are compared and scaled apart,
// then summed with their weights, and, where the scale is the group's, divided by the sum's standard deviation over
// the batch. Liu et al. 2026 (GDPO, arXiv 2601.05242).
Credit EstimateByGroup(const TrainerConfig& config, const EstimatorInput& input);
Credit EstimateLeaveOneOut(const TrainerConfig& config, const EstimatorInput& input);

}  // namespace routewright
