#include "trainer/algorithm/losses/value_loss.h"

#include <gtest/gtest.h>

#include <vector>

namespace routewright {
namespace {

TEST(ValueLossTest, GradientEqualsFiniteDifferences) {
  const std::vector<double> values = {0.1, 0.9, -0.8, 0.3, 2.0};
  const std::vector<double> old_values = {0.0, 0.0, 0.0, 0.2, 0.0};
  const std::vector<double> returns = {1.0, 1.0, 0.5, 0.3, -1.0};
  const std::vector<double> weights = {0.2, 0.2, 0.2, 0.2, 0.2};
  const ValueLoss loss = ClippedValueLoss({values, old_values, returns, weights}, 0.5);
  for (size_t i = 0; i < values.size(); ++i) {
    const double h = 1e-6;
    std::vector<double> up = values, down = values;
    up[i] += h;
    down[i] -= h;
    const double slope = (ClippedValueLoss({up, old_values, returns, weights}, 0.5).loss -
                          ClippedValueLoss({down, old_values, returns, weights}, 0.5).loss) /
                         (2 * h);
    EXPECT_NEAR(loss.d_values[i], slope, 1e-8) << "token " << i;
  }
}

TEST(ValueLossTest, StopsRewardingAPredictionThatLeftTheOldValueTooFar) {
  const std::vector<double> values = {0.9}, old_values = {0.0}, returns = {1.0}, weights = {1.0};
  const ValueLoss loss = ClippedValueLoss({values, old_values, returns, weights}, 0.5);
  EXPECT_DOUBLE_EQ(loss.loss, 0.5 * 0.5 * 0.5);
  EXPECT_EQ(loss.d_values[0], 0.0);
  EXPECT_EQ(loss.clipped_tokens, 1);
}

}  // namespace
}  // namespace routewright
