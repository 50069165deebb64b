#include "trainer/algorithm/credit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "common/trajectory_facts.h"

namespace routewright {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;

// Trajectories with the given numbers of policy tokens, all of one group.
Batch MakeBatch(const std::vector<int>& policy_tokens, const std::vector<double>& rewards) {
  Batch batch;
  for (size_t b = 0; b < policy_tokens.size(); ++b) {
    batch.token_ids.push_back(0);
    for (int t = 1; t <= policy_tokens[b]; ++t) {
      batch.token_ids.push_back(t);
      batch.scored.push_back(t);
      batch.sampler_logprobs.push_back(-1.0f);
    }
    batch.offsets.push_back(batch.num_tokens());
    batch.scored_offsets.push_back(batch.num_scored());
    batch.rewards.push_back(rewards[b]);
    batch.groups.push_back(0);
  }
  return batch;
}

TEST(CreditTest, GrpoGivesEveryTokenItsTrajectorysGroupAdvantage) {
  TrainerConfig config;
  config.set_algorithm(TrainerConfig::ALGORITHM_GRPO);
  const Credit credit = AssignCredit(config, MakeBatch({2, 1}, {1.0, 0.0}), {});
  const double a = 0.5 / (std::sqrt(0.5) + 1e-6);
  EXPECT_THAT(credit.advantages, ::testing::ElementsAre(DoubleNear(a, 1e-12), DoubleNear(a, 1e-12),
                                                        DoubleNear(-a, 1e-12)));
}

TEST(CreditTest, KlInTheRewardLowersTheScoreOfTheTrajectoryThatMovedAway) {
  TrainerConfig config;
  config.set_algorithm(TrainerConfig::ALGORITHM_GRPO);
  config.mutable_loss()->set_kl_placement(LossConfig::KL_PLACEMENT_REWARD);
  config.mutable_loss()->set_kl_estimator(LossConfig::KL_ESTIMATOR_K1);
  const Batch batch = MakeBatch({1, 1}, {1.0, 1.0});
  const std::vector<double> old_logprobs = {-1.0, -1.0}, reference = {-3.0, -1.0};
  const Credit credit = AssignCredit(config, batch,
                                     {.old_logprobs = old_logprobs,
                                      .reference_logprobs = reference,
                                      .values = {},
                                      .kl_coefficient = 0.1});
  EXPECT_LT(credit.advantages[0], 0.0);
  EXPECT_GT(credit.advantages[1], 0.0);
  Batch trial = batch;  // whose name the policy did not choose
  trial.names_model = {kNamesTrial, 0};
  EXPECT_THAT(AssignCredit(config, trial,
                           {.old_logprobs = old_logprobs,
                            .reference_logprobs = reference,
                            .values = {},
                            .kl_coefficient = 0.1})
                  .advantages,
              Each(0.0));
  config.mutable_loss()->set_kl_placement(LossConfig::KL_PLACEMENT_LOSS);
  EXPECT_THAT(AssignCredit(config, batch,
                           {.old_logprobs = old_logprobs,
                            .reference_logprobs = reference,
                            .values = {},
                            .kl_coefficient = 0.1})
                  .advantages,
              Each(DoubleNear(0.0, 1e-9)));
}

TEST(CreditTest, PpoPaysTheRewardAtTheLastPolicyTokenOfEachTrajectory) {
  TrainerConfig config;
  config.set_algorithm(TrainerConfig::ALGORITHM_PPO);
  config.mutable_critic()->set_gamma(0.5);
  const Batch batch = MakeBatch({3, 2}, {8.0, 4.0});
  const std::vector<double> values(5, 0.0), old_logprobs(5, -1.0);
  const Credit credit = AssignCredit(
      config, batch, {.old_logprobs = old_logprobs, .reference_logprobs = {}, .values = values});
  EXPECT_THAT(credit.returns, ::testing::ElementsAre(2.0, 4.0, 8.0, 2.0, 4.0));
  double sum = 0.0;
  for (double advantage : credit.advantages) sum += advantage;
  EXPECT_NEAR(sum, 0.0, 1e-12);
}

TEST(CreditTest, ATrialThatWentBadlyWeighsLessAndOneThatWentWellInFull) {
  TrainerConfig config;
  config.set_algorithm(TrainerConfig::ALGORITHM_RLOO);
  Batch batch = MakeBatch({1, 1}, {1.0, 0.0});
  batch.trial_weights = {0.25, 0.25};
  EXPECT_THAT(AssignCredit(config, batch, {}).advantages, ::testing::ElementsAre(1.0, -0.25));
}

TEST(CreditTest, DemonstrationsWeighEveryTokenTheSame) {
  TrainerConfig config;
  config.set_algorithm(TrainerConfig::ALGORITHM_SUPERVISED);
  EXPECT_THAT(AssignCredit(config, MakeBatch({2, 3}, {0.0, 0.0}), {}).advantages, Each(1.0));
}

}  // namespace
}  // namespace routewright
