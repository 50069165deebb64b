#include "trainer/algorithm/schedule.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

OptimizerConfig Config(OptimizerConfig::Schedule schedule, int warmup, double end) {
  OptimizerConfig config;
  config.set_schedule(schedule);
  config.set_warmup_steps(warmup);
  config.set_final_learning_rate_ratio(end);
  return config;
}

TEST(ScheduleTest, WarmsUpFromAFractionToThePeak) {
  const OptimizerConfig config = Config(OptimizerConfig::SCHEDULE_CONSTANT, 4, 0.0);
  EXPECT_DOUBLE_EQ(ScheduledLearningRate(config, 1.0, 0, 10), 0.25);
  EXPECT_DOUBLE_EQ(ScheduledLearningRate(config, 1.0, 3, 10), 1.0);
  EXPECT_DOUBLE_EQ(ScheduledLearningRate(config, 1.0, 9, 10), 1.0);
}

TEST(ScheduleTest, LinearFallsToTheEndAtTheLastStepAndStays) {
  const OptimizerConfig config = Config(OptimizerConfig::SCHEDULE_LINEAR, 0, 0.1);
  EXPECT_DOUBLE_EQ(ScheduledLearningRate(config, 2.0, 0, 11), 2.0);
  EXPECT_DOUBLE_EQ(ScheduledLearningRate(config, 2.0, 5, 11), 1.1);
  EXPECT_DOUBLE_EQ(ScheduledLearningRate(config, 2.0, 10, 11), 0.2);
  EXPECT_DOUBLE_EQ(ScheduledLearningRate(config, 2.0, 50, 11), 0.2);
}

TEST(ScheduleTest, CosineIsHalfwayInTheMiddleAfterWarmUp) {
  const OptimizerConfig config = Config(OptimizerConfig::SCHEDULE_COSINE, 2, 0.0);
  EXPECT_DOUBLE_EQ(ScheduledLearningRate(config, 1.0, 2, 13), 1.0);
  EXPECT_NEAR(ScheduledLearningRate(config, 1.0, 7, 13), 0.5, 1e-12);
  EXPECT_NEAR(ScheduledLearningRate(config, 1.0, 12, 13), 0.0, 1e-12);
}

TEST(ScheduleTest, ARunOfOneStepUsesThePeak) {
  const OptimizerConfig config = Config(OptimizerConfig::SCHEDULE_LINEAR, 0, 0.0);
  EXPECT_DOUBLE_EQ(ScheduledLearningRate(config, 1.0, 0, 1), 1.0);
}

}  // namespace
}  // namespace routewright
