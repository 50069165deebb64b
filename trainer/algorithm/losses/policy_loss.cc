#include "trainer/algorithm/losses/policy_loss.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"

namespace routewright {

PolicyLoss ClippedPolicyLoss(const PolicyLossInput& input, double clip_low, double clip_high) {
  const size_t n = input.logprobs.size();
  RW_CHECK(input.old_logprobs.size() == n && input.advantages.size() == n &&
           input.weights.size() == n)
      << n << " logprobs, " << input.old_logprobs.size() << " old, " << input.advantages.size()
      << " advantages, " << input.weights.size() << " weights";
  PolicyLoss result;
  result.d_logprobs.resize(n);
  for (size_t i = 0; i < n; ++i) {
    const double ratio = std::exp(input.logprobs[i] - input.old_logprobs[i]);
    const double clipped_ratio = std::clamp(ratio, 1.0 - clip_low, 1.0 + clip_high);
    const double unclipped = -input.advantages[i] * ratio;
    const double clipped = -input.advantages[i] * clipped_ratio;
    const bool is_clipped = clipped > unclipped;
    result.loss += input.weights[i] * std::max(unclipped, clipped);
    result.d_logprobs[i] = is_clipped ? 0.0 : input.weights[i] * unclipped;
    result.clipped_tokens += is_clipped;
    result.old_minus_new += input.old_logprobs[i] - input.logprobs[i];
  }
  return result;
}

std::vector<double> TruncatedImportanceWeights(std::span<const double> trainer_logprobs,
                                               std::span<const double> sampler_logprobs,
                                               double cap) {
  RW_CHECK(trainer_logprobs.size() == sampler_logprobs.size())
      << trainer_logprobs.size() << " and " << sampler_logprobs.size();
  std::vector<double> weights(trainer_logprobs.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = std::min(std::exp(trainer_logprobs[i] - sampler_logprobs[i]), cap);
  }
  return weights;
}

}  // namespace routewright
