#include "common/reward/cost_forms.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

RewardConfig Config(RewardConfig::CostForm form) {
  RewardConfig config;
  config.set_cost_form(form);
  config.set_cost_coefficient(0.4);
  config.set_usd_weight(10000);
  config.set_budget_usd_per_question(1e-5);
  return config;
}

TEST(CostFormsTest, LinearIsThePapersTimesTheScore) {
  const RewardParts parts =
      ChargeCost(Config(RewardConfig::COST_FORM_LINEAR), 0.5, {.cost_reward = 0.75});
  EXPECT_DOUBLE_EQ(parts.score, 0.5 * 0.6);
  EXPECT_DOUBLE_EQ(parts.cost, 0.5 * 0.4 * 0.75);
}

TEST(CostFormsTest, GatedChargesARightAnswerItsPriceUpToABound) {
  const RewardConfig config = Config(RewardConfig::COST_FORM_GATED);
  EXPECT_DOUBLE_EQ(ChargeCost(config, 1.0, {.usd = 2e-5}).sum(), 0.8);
  EXPECT_DOUBLE_EQ(ChargeCost(config, 1.0, {.usd = 2.0}).sum(), 1.0 - 0.8);
  EXPECT_DOUBLE_EQ(ChargeCost(config, 0.0, {.usd = 2e-5}).sum(), 0.0);
}

TEST(CostFormsTest, BudgetChargesWrongAnswersToo) {
  const RewardConfig config = Config(RewardConfig::COST_FORM_BUDGET);
  EXPECT_DOUBLE_EQ(ChargeCost(config, 1.0, {.usd = 2e-5, .cost_weight = 0.1}).sum(), 0.8);
  EXPECT_DOUBLE_EQ(ChargeCost(config, 0.0, {.usd = 2e-5, .cost_weight = 0.1}).sum(), -0.2);
  // Never as bad as a format fault, which is -1.
  EXPECT_DOUBLE_EQ(ChargeCost(config, 0.0, {.usd = 1.0, .cost_weight = 5}).sum(), -0.8);
}

TEST(CostFormsTest, LatencyIsChargedInAnyForm) {
  for (int form = 1; form < RewardConfig::CostForm_ARRAYSIZE; ++form) {
    RewardConfig config = Config(static_cast<RewardConfig::CostForm>(form));
    const double before = ChargeCost(config, 1.0, {.latency_s = 3}).sum();
    config.set_latency_weight(0.1);
    EXPECT_NEAR(ChargeCost(config, 1.0, {.latency_s = 3}).sum(), before - 0.3, 1e-12) << form;
    EXPECT_EQ(ChargeCost(config, 0.0, {.latency_s = 3}).sum(), 0.0) << form;
  }
}

TEST(CostFormsTest, OnlyTheBudgetFormChargesWrongAnswers) {
  for (int form = 1; form < RewardConfig::CostForm_ARRAYSIZE; ++form) {
    const RewardConfig config = Config(static_cast<RewardConfig::CostForm>(form));
    const EpisodeCost cost = {.usd = 2e-5, .cost_weight = 0.1};
    EXPECT_TRUE(ChargesScore(config, 0.5)) << form;
    EXPECT_EQ(ChargesScore(config, 0.0), ChargeCost(config, 0.0, cost).cost != 0.0) << form;
  }
}

TEST(CostFormsTest, ADollarsWeightFollowsTheExcess) {
  RewardConfig config = Config(RewardConfig::COST_FORM_BUDGET);
  config.set_budget_rate(0.5);
  EXPECT_DOUBLE_EQ(NextCostWeight(config, 0.2, 1.5e-5), 0.45);
  EXPECT_DOUBLE_EQ(NextCostWeight(config, 0.2, 0.5e-5), 0.0);
  EXPECT_DOUBLE_EQ(NextCostWeight(config, 0.2, 1e-5), 0.2);
}

// A dear model costs 5 budgets, a cheap one half of one, and the policy stays with the dear one.
TEST(CostFormsTest, ADollarsWeightThatRisesForLongStillTellsDearFromCheap) {
  const RewardConfig config = Config(RewardConfig::COST_FORM_BUDGET);
  double weight = 0.0;
  for (int step = 0; step < 1000; ++step) weight = NextCostWeight(config, weight, 5e-5);
  const auto reward = [&](double usd) {
    return ChargeCost(config, 1.0, {.usd = usd, .cost_weight = weight}).sum();
  };
  EXPECT_NEAR(reward(5e-5), 0.2, 1e-9);
  EXPECT_NEAR(reward(5e-6), 0.92, 1e-9);
}

TEST(CostFormsTest, MoneyAndTimeTogetherLeaveARightAnswerMoreThanAWrongOne) {
  for (int form = 1; form < RewardConfig::CostForm_ARRAYSIZE; ++form) {
    RewardConfig config = Config(static_cast<RewardConfig::CostForm>(form));
    config.set_latency_weight(1);
    const EpisodeCost cost = {.usd = 1.0, .latency_s = 100, .cost_weight = 0.8};
    const double right = ChargeCost(config, 1.0, cost).sum();
    EXPECT_GE(right, 0.2 - 1e-12) << form;
    EXPECT_GT(right, ChargeCost(config, 0.0, cost).sum()) << form;
  }
}

}  // namespace
}  // namespace routewright
