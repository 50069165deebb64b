#include "common/reward/cost_window.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace routewright {
namespace {

using ::testing::ElementsAre;

TEST(CostWindowTest, AFirstCostHasNoSpread) { EXPECT_EQ(CostWindow(10).Add(3), 0.5); }

TEST(CostWindowTest, EqualCostsHaveNoSpread) {
  CostWindow window(10);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(window.Add(7), 0.5);
}

TEST(CostWindowTest, TheCheapestEarnsOneAndTheDearestNothing) {
  CostWindow window(10);
  window.Add(1);
  EXPECT_EQ(window.Add(100), 0);
  EXPECT_EQ(window.Add(0), 1);
}

// Roots 0, 1, …, 20: the 5th percentile is 1, the 95th 19; the next root, 10, moves neither.
TEST(CostWindowTest, ACostIsPlacedBetweenThePercentiles) {
  CostWindow window(100);
  for (int root = 0; root <= 20; ++root) window.Add(root * root);
  EXPECT_DOUBLE_EQ(window.Add(100), 0.5);
}

TEST(CostWindowTest, OnlyTheLastCostsCount) {
  CostWindow window(2);
  window.Add(1e6);
  window.Add(4);
  window.Add(9);
  EXPECT_THAT(window.root_costs(), ElementsAre(2, 3));
}

TEST(CostWindowTest, TheUnitDoesNotMatter) {
  CostWindow microusd(10), picousd(10);
  for (double cost : {3.0, 8.0, 1.0, 4.0})
    EXPECT_NEAR(microusd.Add(cost), picousd.Add(cost * 1e6), 1e-12);
}

TEST(CostWindowTest, ARestoredWindowGoesOnBitwise) {
  CostWindow window(3), restored(3);
  for (double cost : {5.0, 2.0, 7.0, 11.0}) window.Add(cost);
  restored.Restore(window.root_costs());
  EXPECT_EQ(restored.Add(3.3), window.Add(3.3));
  CostWindow smaller(1);
  smaller.Restore(std::vector<double>{1, 2, 3});
  EXPECT_THAT(smaller.root_costs(), ElementsAre(3));
}

}  // namespace
}  // namespace routewright
