#include "policy/formats/random_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "policy/model/parameter_layout.h"
#include "tests/policy/model/tiny_policy.h"

namespace routewright {
namespace {

TensorSlot Slot(const std::string& name, const std::vector<int64_t>& shape) {
  TensorSlot slot;
  slot.name = name;
  slot.shape = shape;
  slot.num_elements = 1;
  for (const int64_t size : shape) slot.num_elements *= size;
  return slot;
}

TEST(RandomPolicyTest, ThreadsDrawTheSameAndSeedsDiffer) {
  const ModelConfig config = TinyLlamaConfig();
  const TensorSlot slot = Slot("model.layers.0.mlp.up_proj.weight", {300, 700});
  const HostTensor one = RandomTensors(config, 1, 1)(slot).value();
  EXPECT_EQ(one.values, RandomTensors(config, 1, 3)(slot)->values);
  EXPECT_NE(one.values, RandomTensors(config, 2, 1)(slot)->values);
}

TEST(RandomPolicyTest, MatricesAreNormalNormsOneBiasesZero) {
  ModelConfig config = TinyLlamaConfig();
  config.initializer_range = 0.02;
  const TensorSource tensors = RandomTensors(config, 7);
  double sum = 0, squares = 0;
  const HostTensor matrix = tensors(Slot("a.weight", {200, 500})).value();
  for (float value : matrix.values) {
    sum += value;
    squares += double{value} * value;
  }
  EXPECT_NEAR(sum / 100000, 0, 5 * 0.02 / std::sqrt(100000));
  EXPECT_NEAR(std::sqrt(squares / 100000), 0.02, 0.001);
  EXPECT_THAT(tensors(Slot("norm.weight", {3}))->values, testing::Each(1.0f));
  EXPECT_THAT(tensors(Slot("q_proj.bias", {3}))->values, testing::Each(0.0f));
}

}  // namespace
}  // namespace routewright
