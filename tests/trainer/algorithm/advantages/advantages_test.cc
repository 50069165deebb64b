#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "trainer/algorithm/advantages/gae.h"
#include "trainer/algorithm/advantages/group_advantages.h"
#include "trainer/algorithm/advantages/whiten.h"

namespace routewright {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(GaeTest, WithGammaAndLambdaOneIsTheRewardToGoMinusTheValue) {
  const std::vector<double> rewards = {0.0, 0.5, 1.0}, values = {0.1, 0.2, 0.3};
  const GaeResult gae = Gae(rewards, values, 1.0, 1.0);
  EXPECT_THAT(gae.returns,
              ElementsAre(DoubleNear(1.5, 1e-12), DoubleNear(1.5, 1e-12), DoubleNear(1.0, 1e-12)));
  EXPECT_NEAR(gae.advantages[0], 1.4, 1e-12);
}

TEST(GaeTest, WithLambdaZeroIsTheTemporalDifference) {
  const std::vector<double> rewards = {0.0, 1.0}, values = {0.4, 0.6};
  const GaeResult gae = Gae(rewards, values, 0.5, 0.0);
  EXPECT_THAT(gae.advantages,
              ElementsAre(DoubleNear(0.5 * 0.6 - 0.4, 1e-12), DoubleNear(0.4, 1e-12)));
}

TEST(GroupAdvantagesTest, EqualRewardsTeachNothing) {
  const std::vector<double> scores = {0.7, 0.7, 0.7};
  const std::vector<int64_t> groups = {4, 4, 4};
  for (double advantage : GroupAdvantages(scores, groups, AdvantageConfig::SCALE_GROUP))
    EXPECT_NEAR(advantage, 0.0, 1e-9);
}

TEST(GroupAdvantagesTest, GroupsDoNotSeeEachOtherHoweverTheyLie) {
  const std::vector<double> scores = {1.0, 10.0, 0.0, 30.0};
  const std::vector<int64_t> groups = {7, 2, 7, 2};
  const double half = 0.5 / (std::sqrt(0.5) + 1e-6);
  const double ten = 10.0 / (std::sqrt(200.0) + 1e-6);
  EXPECT_THAT(GroupAdvantages(scores, groups, AdvantageConfig::SCALE_GROUP),
              ElementsAre(DoubleNear(half, 1e-12), DoubleNear(-ten, 1e-12),
                          DoubleNear(-half, 1e-12), DoubleNear(ten, 1e-12)));
}

TEST(WhitenTest, GivesMeanZeroAndUnitVariance) {
  std::vector<double> advantages = {3.0, -1.0, 2.0, 8.0};
  Whiten(advantages);
  double sum = 0.0, squares = 0.0;
  for (double a : advantages) sum += a, squares += a * a;
  EXPECT_NEAR(sum, 0.0, 1e-12);
  EXPECT_NEAR(squares / 3.0, 1.0, 1e-8);
}

TEST(WhitenTest, OneTokenAndNoneAreFine) {
  std::vector<double> one = {5.0}, none;
  Whiten(one);
  Whiten(none);
  EXPECT_EQ(one[0], 0.0);
}

}  // namespace
}  // namespace routewright
