// What an advantage estimator is: every file of this folder that has one gives it this form, and a row of
// trainer/algorithm/algorithms.cc names it.
#pragma once

#include <span>
#include <vector>

#include "proto/config.pb.h"
#include "trainer/experience/batch.h"

namespace routewright {

// A whole batch, of all ranks.
struct EstimatorInput {
  const Batch& batch;
  // [N] what each policy token is paid; empty where the algorithm learns from demonstrations.
  std::span<const double> token_rewards;
  std::span<const double> values;  // [N] of the critic; empty without one
};

struct Credit {
  std::vector<double> advantages;  // [N]
  std::vector<double> returns;     // [N] what the critic learns; empty without one
};

// Pure; any thread.
using Estimator = Credit (*)(const TrainerConfig& config, const EstimatorInput& input);

}  // namespace routewright
