// How far the policy has moved from the reference policy, per token. Pure; any thread.
// Source: Schulman, "Approximating KL divergence" (2020): k1 = d, low_var =
// k3; d = log π − log π_ref.
#pragma once

#include "proto/config.pb.h"

namespace routewright {

// The estimator that a config means. AUTO is the one whose gradient points back to the reference policy: K1 in the
// reward, where E[k1·∇log π] = ∇KL(π‖ref); LOW_VAR in the loss, where E[∇k3] = ∇KL(ref‖π).
LossConfig::KlEstimator KlEstimatorOf(const LossConfig& config);

// One token's penalty: K1 d, ABS |d|, MSE ½d², LOW_VAR clamp(e^−d + d − 1, ±10).
double KlPenalty(LossConfig::KlEstimator estimator, double logprob, double reference_logprob);
// Its derivative with respect to logprob.
double KlPenaltyGradient(LossConfig::KlEstimator estimator, double logprob,
                         double reference_logprob);

}  // namespace routewright
