// The table of algorithms, one row each: how a batch's rewards become advantages, and what the policy is then trained on.
// What the rest of the program must know of an algorithm (AlgorithmFacts) stands beside its name in proto/config.proto.
// To add one: its value and facts in config.proto, its estimator in advantages/, its row here, its test.
#pragma once

#include "proto/config.pb.h"
#include "trainer/algorithm/advantages/estimator.h"
#include "trainer/algorithm/losses/policy_objective.h"

namespace routewright {

struct Algorithm {
  TrainerConfig::Algorithm name;
  Estimator estimate;
  ObjectiveFunction objective;
};

// Any thread.
const Algorithm& AlgorithmOf(const TrainerConfig& config);

}  // namespace routewright
