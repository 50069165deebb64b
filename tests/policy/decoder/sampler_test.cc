#include "policy/decoder/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/random.h"

namespace routewright {
namespace {

std::vector<float> RandomLogits(size_t size, uint64_t key, double scale) {
  std::vector<float> logits(size);
  for (size_t i = 0; i < size; ++i) {
    logits[i] = static_cast<float>(scale * (2 * RandomUniform(key, i) - 1));
  }
  return logits;
}

std::vector<double> Softmax(const std::vector<float>& logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> probabilities;
  double sum = 0;
  for (float logit : logits) {
    probabilities.push_back(std::exp((logit - largest) / temperature));
    sum += probabilities.back();
  }
  for (double& probability : probabilities) probability /= sum;
  return probabilities;
}

TEST(SamplerTest, GreedyTakesTheFirstLargestLogit) {
  const std::vector<float> logits = {-1, 3, 0, 3, 2.5};
  EXPECT_EQ(SampleToken(logits, 0, 1, 2).token_id, 1u);
  EXPECT_EQ(SampleToken(std::vector<float>{-4}, 0, 1, 2).token_id, 0u);
}

TEST(SamplerTest, GreedyReportsThePlainSoftmax) {
  const std::vector<float> logits = {0, 1};
  const double expected = -std::log1p(std::exp(-1.0));
  EXPECT_FLOAT_EQ(SampleToken(logits, 0, 1, 2).logprob, static_cast<float>(expected));
  EXPECT_FLOAT_EQ(TokenLogprob(logits, 0, 1), static_cast<float>(expected));
}

// The draw equals a plain inverse CDF over the whole vocabulary, at sizes
// around the sampler's blocks.
TEST(SamplerTest, DrawIsTheInverseCdfInAscendingIdOrder) {
  for (size_t size : {1u, 2u, 31u, 255u, 256u, 257u, 1000u, 4097u}) {
    const std::vector<float> logits = RandomLogits(size, size, 3);
    const std::vector<double> probabilities = Softmax(logits, 0.7);
    for (uint64_t counter = 0; counter < 50; ++counter) {
      const double u = RandomUniform(9, counter);
      const uint32_t id = SampleToken(logits, 0.7, 9, counter).token_id;
      ASSERT_LT(id, size);
      double below = 0;
      for (uint32_t i = 0; i < id; ++i) below += probabilities[i];
      EXPECT_GE(u, below - 1e-12);
      EXPECT_LT(u, below + probabilities[id] + 1e-12);
    }
  }
}

TEST(SamplerTest, FrequenciesFollowTheTemperedSoftmax) {
  const std::vector<float> logits = {0.5F, -1, 2, 0, 1.5F};
  for (double temperature : {0.5, 1.0, 2.0}) {
    const std::vector<double> probabilities = Softmax(logits, temperature);
    std::vector<int> counts(logits.size());
    constexpr int kDraws = 40000;
    for (int i = 0; i < kDraws; ++i) ++counts[SampleToken(logits, temperature, 77, i).token_id];
    for (size_t i = 0; i < logits.size(); ++i) {
      const double deviation = std::sqrt(kDraws * probabilities[i] * (1 - probabilities[i]));
      EXPECT_NEAR(counts[i], kDraws * probabilities[i], 4.5 * deviation) << "token " << i;
    }
  }
}

TEST(SamplerTest, LogprobEqualsTheF64SoftmaxAfterTemperature) {
  const std::vector<float> logits = RandomLogits(3000, 5, 12);
  for (double temperature : {0.3, 1.0, 1.7}) {
    const std::vector<double> probabilities = Softmax(logits, temperature);
    for (uint64_t counter = 0; counter < 20; ++counter) {
      const SampledToken sampled = SampleToken(logits, temperature, 3, counter);
      EXPECT_FLOAT_EQ(sampled.logprob,
                      static_cast<float>(std::log(probabilities[sampled.token_id])));
      EXPECT_EQ(sampled.logprob, TokenLogprob(logits, temperature, sampled.token_id));
    }
  }
}

TEST(SamplerTest, DrawDependsOnKeyAndCounterOnly) {
  const std::vector<float> logits = RandomLogits(500, 1, 1);
  EXPECT_EQ(SampleToken(logits, 1, 4, 5).token_id, SampleToken(logits, 1, 4, 5).token_id);
  int differing = 0;
  for (uint64_t counter = 0; counter < 20; ++counter) {
    differing +=
        SampleToken(logits, 1, 4, counter).token_id != SampleToken(logits, 1, 5, counter).token_id;
  }
  EXPECT_GT(differing, 10);
}

TEST(SamplerTest, NeverDrawsATokenOfProbabilityZero) {
  const float minus_infinity = -std::numeric_limits<float>::infinity();
  std::vector<float> logits(600, minus_infinity);
  logits[300] = 1;
  logits[302] = 1;
  for (uint64_t counter = 0; counter < 200; ++counter) {
    const uint32_t id = SampleToken(logits, 1, 8, counter).token_id;
    EXPECT_TRUE(id == 300 || id == 302) << id;
  }
}

TEST(SamplerTest, TinyTemperatureAndHugeLogitsStayFinite) {
  const std::vector<float> logits = {3e38F, -3e38F, 1e38F};
  const SampledToken sampled = SampleToken(logits, 1e-300, 1, 1);
  EXPECT_EQ(sampled.token_id, 0u);
  EXPECT_EQ(sampled.logprob, 0.0F);
}

TEST(SamplerTest, AmongSomeTokensTheirSharesStayAndTheLogprobIsTheWholeDistributions) {
  const std::vector<float> logits = {5.0f, 1.0f, 0.0f, 1.0f, -2.0f};
  const std::vector<uint32_t> allowed = {1, 2};
  int ones = 0;
  for (uint64_t counter = 0; counter < 4000; ++counter) {
    const SampledToken token = SampleTokenAmong(logits, 1.0, /*key=*/9, counter, allowed);
    ASSERT_TRUE(token.token_id == 1 || token.token_id == 2);
    EXPECT_EQ(token.logprob, TokenLogprob(logits, 1.0, token.token_id));
    ones += token.token_id == 1;
  }
  EXPECT_NEAR(ones / 4000.0, std::exp(1.0) / (1.0 + std::exp(1.0)), 0.03);
  EXPECT_EQ(SampleTokenAmong(logits, 0, 9, 0, allowed).token_id, 1u);
}

}  // namespace
}  // namespace routewright
