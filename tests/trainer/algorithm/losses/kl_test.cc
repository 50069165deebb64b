#include "trainer/algorithm/losses/kl.h"

#include <gtest/gtest.h>

#include "trainer/algorithm/kl_controller.h"

namespace routewright {
namespace {

TEST(KlTest, GradientsEqualFiniteDifferences) {
  for (auto estimator : {LossConfig::KL_ESTIMATOR_K1, LossConfig::KL_ESTIMATOR_ABS,
                         LossConfig::KL_ESTIMATOR_MSE, LossConfig::KL_ESTIMATOR_LOW_VAR}) {
    for (double logprob : {-0.1, -0.9, -2.5, -5.0}) {
      const double h = 1e-6, reference = -1.0;
      const double slope = (KlPenalty(estimator, logprob + h, reference) -
                            KlPenalty(estimator, logprob - h, reference)) /
                           (2 * h);
      EXPECT_NEAR(KlPenaltyGradient(estimator, logprob, reference), slope, 1e-6)
          << LossConfig::KlEstimator_Name(estimator) << " at " << logprob;
    }
  }
}

TEST(KlTest, LowVarianceEstimatorIsBoundedAndFlatThere) {
  EXPECT_EQ(KlPenalty(LossConfig::KL_ESTIMATOR_LOW_VAR, -9.0, -1.0), 10.0);
  EXPECT_EQ(KlPenaltyGradient(LossConfig::KL_ESTIMATOR_LOW_VAR, -9.0, -1.0), 0.0);
}

TEST(KlControllerTest, FixedCoefficientNeverMoves) {
  LossConfig config;
  config.set_kl_coefficient(0.05);
  KlController controller(config);
  controller.Update(100.0, 128);
  EXPECT_EQ(controller.coefficient(), 0.05);
}

TEST(KlControllerTest, MovesTowardsTheTargetByABoundedError) {
  LossConfig config;
  config.set_kl_coefficient(0.1);
  config.set_kl_target(0.01);
  config.set_kl_horizon(1000);
  KlController controller(config);
  controller.Update(/*kl=*/1.0, /*num_episodes=*/100);
  EXPECT_DOUBLE_EQ(controller.coefficient(), 0.1 * (1.0 + 0.2 * 0.1));
  controller.Restore(0.1);
  controller.Update(/*kl=*/0.009, /*num_episodes=*/100);
  EXPECT_DOUBLE_EQ(controller.coefficient(), 0.1 * (1.0 + (0.009 / 0.01 - 1.0) * 0.1));
}

// 128 episodes at a horizon of 20: the factor would be below 0, and the penalty a reward.
TEST(KlControllerTest, ABatchBeyondTheHorizonDoesNotTurnThePenaltyRound) {
  LossConfig config;
  config.set_kl_coefficient(0.1);
  config.set_kl_target(0.01);
  config.set_kl_horizon(20);
  KlController controller(config);
  controller.Update(/*kl=*/0.0, /*num_episodes=*/128);
  EXPECT_DOUBLE_EQ(controller.coefficient(), 0.05);
}

}  // namespace
}  // namespace routewright
