#include "trainer/loop/step_message.h"

#include <gtest/gtest.h>

#include "tests/trainer/experience/recorded_trajectories.h"

namespace routewright {
namespace {

TEST(StepMessageTest, AnUpdateArrivesWithItsBatch) {
  StepMessage message;
  message.kind = StepMessage::Kind::kUpdate;
  message.step = 7;
  message.kl_coefficient = 0.1;
  message.is_traced = true;
  message.batch = RecordBatch(5, /*seed=*/1, /*vocabulary_size=*/50);
  const StepMessage copy = ParseStepMessage(SerializeStepMessage(message)).value();
  EXPECT_EQ(copy.kind, StepMessage::Kind::kUpdate);
  EXPECT_EQ(copy.step, 7);
  EXPECT_EQ(copy.kl_coefficient, 0.1);
  EXPECT_TRUE(copy.is_traced);
  EXPECT_EQ(copy.batch.token_ids, message.batch.token_ids);
}

TEST(StepMessageTest, AStopSaysWhetherItWasASignal) {
  StepMessage message;
  message.kind = StepMessage::Kind::kStop;
  message.is_preempted = true;
  const StepMessage copy = ParseStepMessage(SerializeStepMessage(message)).value();
  EXPECT_EQ(copy.kind, StepMessage::Kind::kStop);
  EXPECT_TRUE(copy.is_preempted);
}

TEST(StepMessageTest, WhatIsCutShortIsRefused) {
  EXPECT_EQ(ParseStepMessage("abc").status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace routewright
