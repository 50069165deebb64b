#include "trainer/experience/reward_composer.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

RewardConfig Config() {
  RewardConfig config;
  config.set_cost_coefficient(0.5);
  config.set_cost_window(4);
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

double CostReward(RewardComposer& composer, Trajectory trajectory) {
  composer.Compose(trajectory);
  return trajectory.cost_reward();
}

TEST(RewardComposerTest, CheapIsBetterThanDearWithinADataSource) {
  RewardComposer composer(Config());
  Trajectory dear = Episode("capital", PURPOSE_TRAIN, 100), cheap = dear;
  cheap.mutable_components()->set_cost_picousd(0);
  composer.Compose(dear);
  EXPECT_EQ(dear.cost_reward(), 0.5);  // the first of its window
  composer.Compose(cheap);
  EXPECT_EQ(cheap.cost_reward(), 1.0);
  EXPECT_EQ(cheap.reward(), 1.0);
  composer.Compose(dear);
  EXPECT_EQ(dear.reward(), 0.5);
}

TEST(RewardComposerTest, DataSourcesAndEvaluationHaveWindowsOfTheirOwn) {
  RewardComposer composer(Config());
  for (int64_t cost : {0, 100}) CostReward(composer, Episode("capital", PURPOSE_TRAIN, cost));
  EXPECT_EQ(CostReward(composer, Episode("currency", PURPOSE_TRAIN, 100)), 0.5);
  EXPECT_EQ(CostReward(composer, Episode("capital", PURPOSE_EVAL, 100)), 0.5);
  EXPECT_EQ(CostReward(composer, Episode("capital", PURPOSE_TRAIN, 100)), 0.0);
}

TEST(RewardComposerTest, AnOutageIsNeverACheapSuccess) {
  RewardComposer composer(Config());
  for (int64_t cost : {50, 100}) CostReward(composer, Episode("capital", PURPOSE_TRAIN, cost));
  Trajectory failed = Episode("capital", PURPOSE_TRAIN, 0);
  failed.set_status(EPISODE_STATUS_POOL_FAILED);
  composer.Compose(failed);
  EXPECT_EQ(failed.reward(), 0.0);
  EXPECT_EQ(CostReward(composer, Episode("capital", PURPOSE_TRAIN, 50)),
            1.0);  // still the cheapest
}

TEST(RewardComposerTest, RestoredWindowsGoOnWithTheSameBits) {
  RewardComposer whole(Config()), resumed(Config());
  for (int64_t cost : {3, 14, 15, 92, 65}) {
    CostReward(whole, Episode("capital", PURPOSE_TRAIN, cost));
    CostReward(whole, Episode("sum", PURPOSE_EVAL, cost + 1));
  }
  LearnerState state;
  whole.Save(state.mutable_cost_windows());
  ASSERT_EQ(state.cost_windows_size(), 2);
  EXPECT_EQ(state.cost_windows(0).root_costs_size(), 4);
  resumed.Restore(state.cost_windows());
  for (int64_t cost : {35, 89, 79}) {
    EXPECT_EQ(CostReward(whole, Episode("capital", PURPOSE_TRAIN, cost)),
              CostReward(resumed, Episode("capital", PURPOSE_TRAIN, cost)));
  }
}

}  // namespace
}  // namespace routewright
