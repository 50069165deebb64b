#include "policy/formats/random_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "policy/model/parameter_layout.h"
#include "tests/policy/model/tiny_policy.h"

namespace routewright {
namespace {

TEST(RandomPolicyTest, ThreadsDrawTheSameAndSeedsDiffer) {
  const ModelConfig config = TinyLlamaConfig();
  const TensorSlot slot{"model.layers.0.mlp.up_proj.weight", {300, 700}, 0, 300 * 700};
  const HostTensor one = RandomTensors(config, 1, 1)(slot).value();
  EXPECT_EQ(one.values, RandomTensors(config, 1, 3)(slot)->values);
  EXPECT_NE(one.values, RandomTensors(config, 2, 1)(slot)->values);
}

TEST(RandomPolicyTest, MatricesAreNormalNormsOneBiasesZero) {
  ModelConfig config = TinyLlamaConfig();
  config.initializer_range = 0.02;
  const TensorSource tensors = RandomTensors(config, 7);
  double sum = 0, squares = 0;
  const HostTensor matrix = tensors({"a.weight", {200, 500}, 0, 100000}).value();
  for (float value : matrix.values) {
    sum += value;
    squares += double{value} * value;
  }
  EXPECT_NEAR(sum / 100000, 0, 5 * 0.02 / std::sqrt(100000));
  EXPECT_NEAR(std::sqrt(squares / 100000), 0.02, 0.001);
  EXPECT_THAT(tensors({"norm.weight", {3}, 0, 3})->values, testing::Each(1.0f));
  EXPECT_THAT(tensors({"q_proj.bias", {3}, 0, 3})->values, testing::Each(0.0f));
}

}  // namespace
}  // namespace routewright
