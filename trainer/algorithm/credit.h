// Gives every policy token of a batch its advantage (and, where there is a critic, the return that
// it learns): the estimator of the algorithm applied to rewards, the KL penalty when it is placed
// in the reward, and the critic's values. Every rank computes it for the whole batch, so that groups
// and whitening see all of it. Pure; any thread.
#pragma once

#include <span>
#include <vector>

#include "proto/config.pb.h"
#include "trainer/algorithm/advantages/estimator.h"
#include "trainer/experience/batch.h"

namespace routewright {

struct CreditInput {
  std::span<const double> old_logprobs;        // [N] of the policy that the batch was sampled from
  std::span<const double> reference_logprobs;  // [N], empty without a reference policy
  std::span<const double> values;              // [N] of the critic, empty without a critic
  double kl_coefficient = 0.0;
};

// The algorithm's estimate, negative advantages multiplied by their trajectory's trial weight. A trajectory's reward is paid at its last policy token, −β·KL at each
// if config.loss().kl_placement() is REWARD.
Credit AssignCredit(const TrainerConfig& config, const Batch& batch, const CreditInput& input);

// For people to see: [T] of the trajectory at `place` of a step, NaN where its tokens were not
// learnt from; empty if `places`, [B] of the batch's trajectories in the step, have not got it.
std::vector<float> TokenAdvantages(size_t place, std::span<const size_t> places, const Batch& batch,
                                   std::span<const double> advantages);

}  // namespace routewright
