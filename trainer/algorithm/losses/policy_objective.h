// Everything that the policy is trained on, on the vectors of one micro-batch: the clipped
// policy-gradient loss (or the negative log-likelihood of demonstrations), minus the entropy bonus,
// plus the KL penalty when it is placed in the loss. Pure; any thread.
#pragma once

#include <span>
#include <vector>

#include "proto/config.pb.h"

namespace routewright {

// The policy tokens of one micro-batch, [n] each.
struct ObjectiveInput {
  std::span<const double> logprobs;   // of the policy that learns
  std::span<const double> entropies;  // nats
  std::span<const double> sampler_logprobs;
  // Of the trainer before the batch's first step; empty: logprobs themselves.
  std::span<const double> old_logprobs;
  std::span<const double> reference_logprobs;  // empty without a reference policy
  std::span<const double> advantages;
  // Policy tokens (or trajectories) of the whole mini-batch, over all ranks.
  double normalizer = 1.0;
  double kl_coefficient = 0.0;
};

// Sums over tokens, to be added over micro-batches and ranks.
struct ObjectiveSums {
  double loss = 0.0;           // already divided by the normaliser
  double entropy = 0.0;        // nats
  double kl = 0.0;             // penalty to the reference, as config.kl_estimator measures it
  double old_minus_new = 0.0;  // nats
  double sampler_gap = 0.0;    // |logprob − sampler's|, nats
  double importance_weight = 0.0;
  double clipped_tokens = 0.0;
  double tokens = 0.0;
};

struct Objective {
  std::vector<double> d_logprobs;   // [n] ∂loss/∂logprobs
  std::vector<double> d_entropies;  // [n] ∂loss/∂entropies
  ObjectiveSums sums;
};

// Old log-probabilities are the sampler's; with importance_cap > 0 they are the trainer's own
// (`old_logprobs`), and each token's policy loss is multiplied by min(π_old/π_sampler, cap).
Objective PolicyObjective(const LossConfig& config, const ObjectiveInput& input);

// Negative log-likelihood of demonstrated tokens: Σ −logprob / normaliser.
Objective SupervisedObjective(const LossConfig& config, const ObjectiveInput& input);

using ObjectiveFunction = Objective (*)(const LossConfig& config, const ObjectiveInput& input);

}  // namespace routewright
