// Everything that the policy is trained on, on the vectors of one micro-batch: the clipped
// policy-gradient loss (or the negative log-likelihood of demonstrations), minus the entropy bonus,
// plus the KL penalty when it is placed in the loss. Pure; any thread.
#pragma once

#include <cstdint>
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
  std::span<const uint8_t> names_model;  // kNamesModel, kNamesTrial or 0; or empty
  // Each token's share in the mini-batch's loss, by config.normalization().
  std::span<const double> weights;
  std::span<const int64_t>
      offsets;  // [b+1] the tokens of trajectory i are [offsets[i], offsets[i+1])
  double kl_coefficient = 0.0;
  RoutingConfig routing;  // what is special about the tokens that name a model
};

// Sums over tokens, to be added over micro-batches and ranks.
struct ObjectiveSums {
  double loss = 0.0;           // weighted
  double entropy = 0.0;        // nats
  double name_entropy = 0.0;   // nats, over name_tokens
  double name_tokens = 0.0;    // that name a model
  double kl = 0.0;             // to the reference, nats, as the low-variance estimator measures it
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
// (`old_logprobs`), and each token's policy-gradient loss is multiplied by min(π_old/π_sampler, cap).
Objective PolicyObjective(const LossConfig& config, const ObjectiveInput& input);

// Negative log-likelihood of demonstrated tokens: Σ −weight · logprob.
Objective SupervisedObjective(const LossConfig& config, const ObjectiveInput& input);

using ObjectiveFunction = Objective (*)(const LossConfig& config, const ObjectiveInput& input);

}  // namespace routewright
