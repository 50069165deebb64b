#include "trainer/algorithm/losses/policy_objective.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/trajectory_facts.h"

namespace routewright {
namespace {

using Doubles = std::vector<double>;

struct Vectors {
  Doubles logprobs = {-1.1, -0.3, -2.2, -0.6};
  Doubles entropies = {0.5, 0.7, 0.2, 0.9};
  Doubles sampler = {-1.0, -0.5, -2.0, -0.1};
  Doubles old_logprobs = {-1.05, -0.35, -2.1, -0.5};
  Doubles reference = {-0.9, -0.6, -2.5, -0.7};
  Doubles advantages = {0.7, 1.3, -0.4, -2.0};
  std::vector<uint8_t> names_model = {0, 1, 1, 0};
  Doubles weights = Doubles(4, 1.0 / 7.0);
  RoutingConfig routing = [] {
    RoutingConfig config;
    config.set_entropy_coefficient(0.4);
    config.set_kl_weight(0.25);
    config.set_other_tokens_weight(0.5);
    return config;
  }();
  ObjectiveInput Input() const {
    return {.logprobs = logprobs,
            .entropies = entropies,
            .sampler_logprobs = sampler,
            .old_logprobs = old_logprobs,
            .reference_logprobs = reference,
            .advantages = advantages,
            .names_model = names_model,
            .weights = weights,
            .offsets = {},
            .kl_coefficient = 0.3,
            .routing = routing};
  }
};

LossConfig FullConfig() {
  LossConfig config;
  config.set_clip_high(0.28);
  config.set_entropy_coefficient(0.05);
  config.set_importance_cap(1.05);
  return config;
}

TEST(PolicyObjectiveTest, GradientsEqualFiniteDifferences) {
  const LossConfig config = FullConfig();
  const Vectors at;
  const Objective objective = PolicyObjective(config, at.Input());
  const double h = 1e-6;
  for (size_t i = 0; i < at.logprobs.size(); ++i) {
    Vectors up = at, down = at;
    up.logprobs[i] += h;
    down.logprobs[i] -= h;
    EXPECT_NEAR(objective.d_logprobs[i],
                (PolicyObjective(config, up.Input()).sums.loss -
                 PolicyObjective(config, down.Input()).sums.loss) /
                    (2 * h),
                1e-8);
    up = at, down = at;
    up.entropies[i] += h;
    down.entropies[i] -= h;
    EXPECT_NEAR(objective.d_entropies[i],
                (PolicyObjective(config, up.Input()).sums.loss -
                 PolicyObjective(config, down.Input()).sums.loss) /
                    (2 * h),
                1e-8);
  }
}

TEST(PolicyObjectiveTest, WithoutACapTheRatioIsAgainstTheSampler) {
  LossConfig config;
  Vectors vectors;
  vectors.advantages = {1.0, 0.0, 0.0, 0.0};
  ObjectiveInput input = vectors.Input();
  input.kl_coefficient = 0.0;
  input.routing = {};
  EXPECT_NEAR(PolicyObjective(config, input).sums.loss, -std::exp(-1.1 + 1.0) / 7.0, 1e-12);
}

TEST(PolicyObjectiveTest, WithACapTheLossIsWeightedAndTheRatioIsAgainstTheTrainer) {
  LossConfig config;
  config.set_importance_cap(1.05);
  Vectors vectors;
  vectors.advantages = {0.0, 1.0, 0.0, 0.0};  // its importance weight, e^0.15, is capped
  ObjectiveInput input = vectors.Input();
  input.kl_coefficient = 0.0;
  input.routing = {};
  EXPECT_NEAR(PolicyObjective(config, input).sums.loss, -1.05 * std::exp(-0.3 + 0.35) / 7.0, 1e-12);
  input.old_logprobs = {};  // one mini-batch: the trainer's own log-probabilities are the old ones
  EXPECT_NEAR(PolicyObjective(config, input).sums.loss, -1.05 / 7.0, 1e-12);
}

// A trial's tokens were not drawn from the policy: with π = e^-7 its KL would be all there is.
TEST(PolicyObjectiveTest, ATrialsTokensAreNoSampleOfTheKl) {
  LossConfig config;
  Vectors vectors;
  vectors.names_model = {0, kNamesTrial, kNamesTrial, 0};
  vectors.logprobs[1] = -7.0;
  const Objective objective = PolicyObjective(config, vectors.Input());
  ObjectiveInput without = vectors.Input();
  without.kl_coefficient = 0.0;
  const Objective plain = PolicyObjective(config, without);
  EXPECT_EQ(objective.d_logprobs[1], plain.d_logprobs[1]);
  EXPECT_EQ(objective.d_logprobs[2], plain.d_logprobs[2]);
  EXPECT_NE(objective.d_logprobs[0], plain.d_logprobs[0]);
  EXPECT_LT(objective.sums.kl, 1.0);
  EXPECT_EQ(objective.sums.name_tokens, 2.0);  // but they name a model
}

TEST(PolicyObjectiveTest, KlPlacedInTheRewardIsMeasuredButNotInTheLoss) {
  LossConfig config;
  config.set_kl_placement(LossConfig::KL_PLACEMENT_REWARD);
  const Vectors vectors;
  const Objective objective = PolicyObjective(config, vectors.Input());
  ObjectiveInput without = vectors.Input();
  without.reference_logprobs = {};
  EXPECT_GT(objective.sums.kl, 0.0);
  EXPECT_EQ(objective.sums.loss, PolicyObjective(config, without).sums.loss);
}

TEST(SupervisedObjectiveTest, IsTheMeanNegativeLogLikelihood) {
  const Vectors vectors;
  const Objective objective = SupervisedObjective({}, vectors.Input());
  EXPECT_NEAR(objective.sums.loss, (1.1 + 0.3 + 2.2 + 0.6) / 7.0, 1e-12);
  for (double d : objective.d_logprobs) EXPECT_DOUBLE_EQ(d, -1.0 / 7.0);
}

}  // namespace
}  // namespace routewright
