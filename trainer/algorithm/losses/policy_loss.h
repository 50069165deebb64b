// The policy-gradient loss on vectors of policy tokens, with its gradient by hand. Knows nothing of the
// estimator that made the advantages, of packing or of ranks: the caller's weights carry the
// normalisation, so sums over micro-batches and ranks are the loss. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "proto/config.pb.h"

namespace routewright {

struct PolicyLossInput {
  std::span<const double> logprobs;  // [N] of the policy that learns
  std::span<const double>
      old_logprobs;                    // [N] of the policy before this batch's first optimizer step
  std::span<const double> advantages;  // [N]
  std::span<const double> weights;  // [N] ≥ 0: 1/normaliser (× the truncated importance weight)
  // [b+1] the policy tokens of trajectory i are [offsets[i], offsets[i+1]); read with ratio: sequences.
  std::span<const int64_t> offsets = {};
};

struct PolicyLoss {
  double loss = 0.0;
  std::vector<double> d_logprobs;  // [N] ∂loss/∂logprobs
  int64_t clipped_tokens = 0;      // where the clipped term is the larger one
  double old_minus_new = 0.0;  // Σ (old − logprob): over N, the approximate KL of this update
};

// Σ weight · ℓ, by config.surrogate(), with ρ = exp(clamp(log π − log π_old, ±20)) of the token, or with
// ratio: sequences ρ = exp of the mean of those differences over the trajectory (GSPO: Zheng et al. 2025, arXiv
// 2507.18071):
//   clip   ℓ = max(−Â·ρ, −Â·clip(ρ, 1 − clip_low, 1 + clip_high)), and for Â < 0 at most −Â·dual_clip.
//          Schulman et al. 2017 (arXiv 1707.06347), equation 7; asymmetric range: Yu et al. 2025 (DAPO, 2503.14476);
//          dual clip: Ye et al. 2020 (arXiv 1912.09729), equation 5
//   cispo  ℓ = −Â·min(ρ, 1 + clip_high)·log π, in which min(…) is a constant.
//          MiniMax 2025 (arXiv 2506.13585), equations 4 and 5, without the lower bound
PolicyLoss ComputePolicyLoss(const PolicyLossInput& input, const LossConfig& config);

// min(exp(trainer − sampler), cap): corrects for what the sampler's numerics differ from the
// trainer's. Source: Yao et al. 2025, "Your efficient RL framework secretly brings you
// off-policy RL training".
//   trainer_logprobs, sampler_logprobs [N] of the same tokens and the same weights      returns [N]
//   in (0, cap]
std::vector<double> TruncatedImportanceWeights(std::span<const double> trainer_logprobs,
                                               std::span<const double> sampler_logprobs,
                                               double cap);

}  // namespace routewright
