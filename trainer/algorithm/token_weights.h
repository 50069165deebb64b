// How tokens' losses become a mini-batch's loss. Pure; any thread.
#pragma once

#include <span>
#include <vector>

#include "proto/config.pb.h"
#include "trainer/experience/batch.h"

namespace routewright {

// [N] the weight of each policy token in the loss of a mini-batch of `trajectories`, over all ranks; 0 for tokens of
// other trajectories, and of those that are masked, which count in no mean.
//   tokens                1 / policy tokens of the mini-batch                   (DAPO: Yu et al. 2025, arXiv 2503.14476)
//   sequences             1 / trajectories                                      (veRL's seq-mean-token-sum)
//   sequence_token_means  1 / (trajectories · policy tokens of the trajectory)  (GRPO as published, arXiv 2402.03300)
std::vector<double> TokenWeights(LossConfig::Normalization normalization, const Batch& batch,
                                 std::span<const int> trajectories);

}  // namespace routewright
