#include "trainer/algorithm/token_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace routewright {
namespace {

using ::testing::ElementsAre;

// Three trajectories with 1, 3 and 2 policy tokens.
Batch ThreeTrajectories() {
  Batch batch;
  batch.scored_offsets = {0, 1, 4, 6};
  batch.offsets = {0, 2, 6, 9};
  batch.scored = {1, 1, 2, 3, 1, 2};
  batch.is_masked = {0, 0, 0};
  return batch;
}

TEST(TokenWeightsTest, SumToOneOverTheMiniBatchOrToItsTokensPerTrajectory) {
  const Batch batch = ThreeTrajectories();
  const std::vector<int> mini = {0, 1};
  EXPECT_THAT(TokenWeights(LossConfig::NORMALIZATION_TOKENS, batch, mini),
              ElementsAre(0.25, 0.25, 0.25, 0.25, 0, 0));
  EXPECT_THAT(TokenWeights(LossConfig::NORMALIZATION_SEQUENCES, batch, mini),
              ElementsAre(0.5, 0.5, 0.5, 0.5, 0, 0));
  EXPECT_THAT(TokenWeights(LossConfig::NORMALIZATION_SEQUENCE_TOKEN_MEANS, batch, mini),
              ElementsAre(0.5, 0.5 / 3, 0.5 / 3, 0.5 / 3, 0, 0));
}

TEST(TokenWeightsTest, WhatIsMaskedIsNotLearntFromAndCountsInNoMean) {
  Batch batch = ThreeTrajectories();
  batch.is_masked = {0, 1, 0};
  const std::vector<int> all = {0, 1, 2};
  EXPECT_THAT(TokenWeights(LossConfig::NORMALIZATION_TOKENS, batch, all),
              ElementsAre(1.0 / 3, 0, 0, 0, 1.0 / 3, 1.0 / 3));
  EXPECT_THAT(TokenWeights(LossConfig::NORMALIZATION_SEQUENCES, batch, all),
              ElementsAre(0.5, 0, 0, 0, 0.5, 0.5));
  batch.is_masked = {1, 1, 1};
  EXPECT_THAT(TokenWeights(LossConfig::NORMALIZATION_TOKENS, batch, all), ::testing::Each(0.0));
}

}  // namespace
}  // namespace routewright
