// The clipped policy-gradient loss on vectors of policy tokens, with its gradient by hand. Knows
// nothing of the estimator that made the advantages, of packing or of ranks: the caller's weights
// carry the normalisation, so sums over micro-batches and ranks are the loss. Pure; any thread.
// Source: Schulman et al. 2017 (arXiv 1707.06347), equation 7; asymmetric range: Yu et al.
// 2025 (DAPO, 2503.14476).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace routewright {

struct PolicyLossInput {
  std::span<const double> logprobs;  // [N] of the policy that learns
  std::span<const double>
      old_logprobs;                    // [N] of the policy before this batch's first optimizer step
  std::span<const double> advantages;  // [N]
  std::span<const double> weights;  // [N] ≥ 0: 1/normaliser (× the truncated importance weight)
};

struct PolicyLoss {
  double loss = 0.0;  // Σ weight · max(−Â·ρ, −Â·clip(ρ, 1 − clip_low, 1 + clip_high)), ρ = π/π_old
  std::vector<double> d_logprobs;  // [N] ∂loss/∂logprobs
  int64_t clipped_tokens = 0;      // where the clipped term is the larger one
  double old_minus_new = 0.0;  // Σ (old − logprob): over N, the approximate KL of this update
};

PolicyLoss ClippedPolicyLoss(const PolicyLossInput& input, double clip_low, double clip_high);

// min(exp(trainer − sampler), cap): corrects for what the sampler's numerics differ from the
// trainer's. Source: Yao et al. 2025, "Your efficient RL framework secretly brings you
// off-policy RL training".
//   trainer_logprobs, sampler_logprobs [N] of the same tokens and the same weights      returns [N]
//   in (0, cap]
std::vector<double> TruncatedImportanceWeights(std::span<const double> trainer_logprobs,
                                               std::span<const double> sampler_logprobs,
                                               double cap);

}  // namespace routewright
