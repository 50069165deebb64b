#include "policy/model/block_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace routewright {
namespace {

using ::testing::ElementsAre;

ModelConfig SmallModel() {
  ModelConfig config;
  config.width = 8;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_width = 2;
  config.intermediate_width = 12;
  return config;
}

std::vector<std::string> NamesOf(const ModelConfig& config) {
  std::vector<std::string> names;
  const BlockTensors<JoinedTensor> shapes = BlockTensorShapes(config);
  ForEachTensor(
      [&](const JoinedTensor& tensor) {
        for (const JoinedTensor::Part& part : tensor.parts) names.push_back(part.name);
      },
      shapes);
  return names;
}

TEST(BlockTensorsTest, NeighboursAreJoinedRowsUnderRows) {
  const BlockTensors<JoinedTensor> shapes = BlockTensorShapes(SmallModel());
  EXPECT_THAT(shapes.input_norm.shape(), ElementsAre(8));
  EXPECT_THAT(shapes.qkv.shape(), ElementsAre(8 + 4 + 4, 8));
  EXPECT_THAT(shapes.qkv.shape_of(shapes.qkv.parts[1]), ElementsAre(4, 8));
  EXPECT_THAT(shapes.gate_up.shape(), ElementsAre(24, 8));
  EXPECT_THAT(shapes.down.shape(), ElementsAre(8, 12));
  EXPECT_FALSE(shapes.qkv_bias.exists());
  EXPECT_FALSE(shapes.query_norm.exists());
}

TEST(BlockTensorsTest, AnArchitecturesOwnTensorsLieWhereCheckpointsHaveThem) {
  ModelConfig config = SmallModel();
  EXPECT_THAT(NamesOf(config),
              ElementsAre("input_layernorm.weight", "self_attn.q_proj.weight",
                          "self_attn.k_proj.weight", "self_attn.v_proj.weight",
                          "self_attn.o_proj.weight", "post_attention_layernorm.weight",
                          "mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.down_proj.weight"));
  config.is_qkv_biased = true;
  config.is_qk_normed = true;
  const std::vector<std::string> names = NamesOf(config);
  ASSERT_EQ(names.size(), 14u);
  EXPECT_EQ(names[4], "self_attn.q_proj.bias");
  EXPECT_EQ(names[7], "self_attn.q_norm.weight");
  EXPECT_EQ(names[9], "self_attn.o_proj.weight");
  EXPECT_EQ(BlockTensorShapes(config).query_norm.parts[0].gguf_name, "attn_q_norm.weight");
}

}  // namespace
}  // namespace routewright
