#include "trainer/experience/reward_composer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace routewright {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

RunConfig Config() {
  RunConfig config;
  config.mutable_reward()->set_cost_coefficient(0.5);
  config.mutable_reward()->set_cost_window(4);
  return config;
}

Trajectory Episode(const std::string& source, Purpose purpose, int64_t cost_microusd) {
  Trajectory trajectory;
  trajectory.mutable_question()->set_data_source(source);
  trajectory.set_purpose(purpose);
  trajectory.set_status(EPISODE_STATUS_ANSWERED);
  trajectory.mutable_components()->set_em(1.0);
  trajectory.mutable_components()->set_cost_picousd(cost_microusd * 1000000);
  return trajectory;
}

std::vector<Trajectory> Capitals(const std::vector<int64_t>& costs,
                                 Purpose purpose = PURPOSE_TRAIN) {
  std::vector<Trajectory> step;
  for (int64_t cost : costs) step.push_back(Episode("capital", purpose, cost));
  return step;
}

std::vector<double> CostRewards(RewardComposer& composer, std::vector<Trajectory> step) {
  composer.Compose(step);
  std::vector<double> rewards;
  for (const Trajectory& trajectory : step) rewards.push_back(trajectory.cost_reward());
  return rewards;
}

TEST(RewardComposerTest, CheapIsBetterThanDearWithinADataSource) {
  RewardComposer composer(Config());
  EXPECT_THAT(CostRewards(composer, Capitals({100})), ElementsAre(0.5));  // alone in its window
  std::vector<Trajectory> step = Capitals({0, 100});
  composer.Compose(step);
  EXPECT_EQ(step[0].reward(), 1.0);
  EXPECT_EQ(step[1].reward(), 0.5);
  EXPECT_EQ(step[1].score_reward(), 0.5);
}

// A window that moved within the step gave eight equal episodes eight cost rewards, which division by their standard
// deviation blew up to advantages from -1.41 to 1.42.
TEST(RewardComposerTest, EqualEpisodesOfAStepHaveEqualRewards) {
  RunConfig config = Config();
  config.mutable_reward()->set_cost_window(1000);
  RewardComposer composer(config);
  std::vector<int64_t> costs;
  for (int64_t cost = 1; cost <= 100; ++cost) costs.push_back(cost);
  CostRewards(composer, Capitals(costs));
  const std::vector<double> rewards = CostRewards(composer, Capitals(std::vector<int64_t>(8, 50)));
  EXPECT_THAT(rewards, Each(rewards[0]));
}

TEST(RewardComposerTest, TheOrderInAStepDoesNotMatter) {
  RewardComposer one(Config()), other(Config());
  EXPECT_THAT(CostRewards(one, Capitals({1, 4, 9})), ElementsAre(1.0, 0.5, 0.0));
  EXPECT_THAT(CostRewards(other, Capitals({9, 1, 4})), ElementsAre(0.0, 1.0, 0.5));
}

TEST(RewardComposerTest, DataSourcesAndEvaluationHaveWindowsOfTheirOwn) {
  RewardComposer composer(Config());
  CostRewards(composer, Capitals({0, 100}));
  EXPECT_THAT(CostRewards(composer, {Episode("currency", PURPOSE_TRAIN, 100),
                                     Episode("capital", PURPOSE_EVAL, 100),
                                     Episode("capital", PURPOSE_TRAIN, 100)}),
              ElementsAre(0.5, 0.5, 0.0));
}

// Else the evaluation just after a price drop would look best.
TEST(RewardComposerTest, EvaluationsAreScoredAgainstTheCostsOfTheFirst) {
  RewardComposer composer(Config());
  const std::vector<double> first = CostRewards(composer, Capitals({0, 100, 400}, PURPOSE_EVAL));
  CostRewards(composer, Capitals({1, 2, 3}, PURPOSE_EVAL));
  EXPECT_EQ(CostRewards(composer, Capitals({0, 100, 400}, PURPOSE_EVAL)), first);
}

TEST(RewardComposerTest, AnOutageIsNeverACheapSuccess) {
  RewardComposer composer(Config());
  std::vector<Trajectory> step = Capitals({50, 100, 0});
  step[2].set_status(EPISODE_STATUS_POOL_FAILED);
  composer.Compose(step);
  EXPECT_EQ(step[2].reward(), 0.0);
  EXPECT_EQ(step[0].cost_reward(), 1.0);  // still the cheapest
}

TEST(RewardComposerTest, RestoredWindowsGoOnWithTheSameBits) {
  RewardComposer whole(Config()), resumed(Config());
  CostRewards(whole, Capitals({3, 14, 15, 92, 65}));
  CostRewards(whole, Capitals({4, 15, 16}, PURPOSE_EVAL));
  LearnerState state;
  whole.Save(state);
  ASSERT_EQ(state.cost_windows_size(), 2);
  EXPECT_EQ(state.cost_windows(0).root_costs_size(), 4);
  resumed.Restore(state);
  EXPECT_EQ(CostRewards(whole, Capitals({35, 89, 79})),
            CostRewards(resumed, Capitals({35, 89, 79})));
}

RunConfig Budget(double usd) {
  RunConfig config;
  config.mutable_reward()->set_cost_form(RewardConfig::COST_FORM_BUDGET);
  config.mutable_reward()->set_budget_usd_per_question(usd);
  config.mutable_reward()->set_budget_rate(0.1);
  return config;
}

void Step(RewardComposer& composer, std::vector<Trajectory>& step) {
  composer.Compose(step);
  composer.AdaptToBudget(step);
}

TEST(RewardComposerTest, ADollarsWeightRisesOverTheBudgetAndFallsBelowIt) {
  RewardComposer composer(Budget(100e-6));
  std::vector<Trajectory> step = Capitals({150, 250});  // twice the budget
  Step(composer, step);
  EXPECT_EQ(step[0].reward(), 1.0);  // the weight was 0 in this step
  EXPECT_DOUBLE_EQ(composer.cost_weight(), 0.1);
  Step(composer, step);
  EXPECT_DOUBLE_EQ(step[0].reward(), 1.0 - 0.1 * 1.5);
  LearnerState state;
  composer.Save(state);
  RewardComposer resumed(Budget(100e-6));
  resumed.Restore(state);
  EXPECT_EQ(resumed.cost_weight(), composer.cost_weight());
  for (int i = 0; i < 10; ++i) Step(composer, step = Capitals({0}));
  EXPECT_EQ(composer.cost_weight(), 0.0);
}

TEST(RewardComposerTest, WhatATrialCostIsNotThePolicysDoing) {
  RewardComposer composer(Budget(100e-6));
  std::vector<Trajectory> step = Capitals({100, 9000});
  step[1].add_actions()->set_is_trial(true);
  Step(composer, step);
  EXPECT_NEAR(composer.cost_weight(), 0.0, 1e-12);
  EXPECT_DOUBLE_EQ(*composer.own_cost_usd(), 100e-6);
}

// Trials are made call by call: of the episodes that call twice, more are left out than of those that call once.
TEST(RewardComposerTest, WhatThePolicyCostsIsNotBiasedByTheEpisodesThatTrialsTake) {
  RunConfig config = Budget(100e-6);
  config.mutable_trainer()->mutable_routing()->set_trial_share(0.5);
  RewardComposer composer(config);
  // As the policy chooses: 4 episodes of one call, 8 of two. Without a trial there are 2 and 2.
  std::vector<Trajectory> step = Capitals({30, 30, 90, 90});
  for (size_t i = 0; i < step.size(); ++i) {
    for (size_t call = 0; call < 1 + i / 2; ++call) {
      step[i].add_actions()->set_kind(ACTION_KIND_SEARCH);
    }
    step[i].add_actions()->set_kind(ACTION_KIND_ANSWER);
  }
  Step(composer, step);
  EXPECT_DOUBLE_EQ(*composer.own_cost_usd(), (4 * 30e-6 + 8 * 90e-6) / 12);
}

TEST(RewardComposerTest, WithoutABudgetThePolicysOwnCostIsNotEstimated) {
  RewardComposer composer(Config());
  std::vector<Trajectory> step = Capitals({100});
  Step(composer, step);
  EXPECT_FALSE(composer.own_cost_usd().has_value());
}

}  // namespace
}  // namespace routewright
