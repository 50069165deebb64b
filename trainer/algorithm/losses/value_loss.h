// The critic's clipped squared error on vectors of policy tokens, with its gradient by hand. Pure;
// any thread. Source: as in the PPO reference code (Dhariwal et al. 2017, baselines): the
// prediction may leave the old value by at most `clip` before it stops counting as an improvement.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace routewright {

struct ValueLossInput {
  std::span<const double> values;      // [N] of the critic that learns
  std::span<const double> old_values;  // [N] before this batch's first optimizer step
  std::span<const double> returns;     // [N]
  std::span<const double> weights;     // [N] ≥ 0: 1/normaliser
};

struct ValueLoss {
  double loss = 0.0;             // ½ Σ weight · max((v − R)², (clip(v, old ± clip) − R)²)
  std::vector<double> d_values;  // [N] ∂loss/∂values
  int64_t clipped_tokens = 0;    // where the clipped term is the larger one
};

ValueLoss ClippedValueLoss(const ValueLossInput& input, double clip);

}  // namespace routewright
