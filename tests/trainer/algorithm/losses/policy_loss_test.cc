#include "trainer/algorithm/losses/policy_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace routewright {
namespace {

using Doubles = std::vector<double>;

LossConfig Config() {
  LossConfig config;
  config.set_clip_low(0.2);
  config.set_clip_high(0.28);
  return config;
}

TEST(PolicyLossTest, GradientEqualsFiniteDifferences) {
  const Doubles old_logprobs = {-1.0, -0.5, -2.0, -0.1, -3.0, -1.5};
  const Doubles logprobs = {-1.1, -0.1, -2.9, -0.4, -2.9, -1.5};
  const Doubles advantages = {0.7, 1.3, -0.4, -2.0, 0.2, 0.9};
  const Doubles weights = {0.1, 0.2, 0.3, 0.1, 0.2, 0.1};
  const PolicyLoss loss =
      ComputePolicyLoss({logprobs, old_logprobs, advantages, weights}, Config());
  for (size_t i = 0; i < logprobs.size(); ++i) {
    const double h = 1e-6;
    Doubles up = logprobs, down = logprobs;
    up[i] += h;
    down[i] -= h;
    const double slope =
        (ComputePolicyLoss({up, old_logprobs, advantages, weights}, Config()).loss -
         ComputePolicyLoss({down, old_logprobs, advantages, weights}, Config()).loss) /
        (2 * h);
    EXPECT_NEAR(loss.d_logprobs[i], slope, 1e-8) << "token " << i;
  }
}

TEST(PolicyLossTest, ClipsUpwardsAndDownwardsByDifferentAmounts) {
  const Doubles old_logprobs(4, 0.0);
  const Doubles logprobs = {std::log(1.25), std::log(1.35), std::log(0.75), std::log(0.85)};
  const Doubles advantages = {1.0, 1.0, -1.0, -1.0};
  const Doubles weights(4, 1.0);
  const PolicyLoss loss =
      ComputePolicyLoss({logprobs, old_logprobs, advantages, weights}, Config());
  EXPECT_EQ(loss.clipped_tokens, 2);
  EXPECT_NEAR(loss.d_logprobs[0], -1.25, 1e-12);
  EXPECT_EQ(loss.d_logprobs[1], 0.0);
  EXPECT_EQ(loss.d_logprobs[2], 0.0);
  EXPECT_NEAR(loss.d_logprobs[3], 0.85, 1e-12);
}

TEST(PolicyLossTest, SumsOverPartsEqualTheWhole) {
  const Doubles old_logprobs = {-1.0, -0.5, -2.0, -0.1};
  const Doubles logprobs = {-1.1, -0.1, -2.9, -0.4};
  const Doubles advantages = {0.7, 1.3, -0.4, -2.0};
  const Doubles weights(4, 0.25);
  const auto part = [&](size_t first, size_t count) {
    return ComputePolicyLoss({std::span(logprobs).subspan(first, count),
                              std::span(old_logprobs).subspan(first, count),
                              std::span(advantages).subspan(first, count),
                              std::span(weights).subspan(first, count)},
                             Config())
        .loss;
  };
  EXPECT_NEAR(part(0, 1) + part(1, 3), part(0, 4), 1e-15);
}

TEST(TruncatedImportanceWeightsTest, FollowTheRatioUpToTheCap) {
  const Doubles trainer = {-1.0, -1.0, -1.0};
  const Doubles sampler = {-1.0, -0.5, -3.0};
  const Doubles weights = TruncatedImportanceWeights(trainer, sampler, 2.0);
  EXPECT_DOUBLE_EQ(weights[0], 1.0);
  EXPECT_DOUBLE_EQ(weights[1], std::exp(-0.5));
  EXPECT_DOUBLE_EQ(weights[2], 2.0);
}

}  // namespace
}  // namespace routewright
