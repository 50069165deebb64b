#include "policy/model/policy_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/model/flat_weights.h"
#include "tests/policy/model/shaped_model.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

ModelConfig SmallConfig(bool is_biased, bool is_tied) {
  ModelConfig config = ShapedModel({.vocabulary = 11,
                                    .width = 8,
                                    .inner_width = 12,
                                    .layers = 2,
                                    .heads = 4,
                                    .kv_heads = 2,
                                    .head_width = 2});
  config.is_qkv_biased = is_biased;
  config.is_tied = is_tied;
  return config;
}

std::map<std::string, HostTensor> CountingTensors(const ParameterLayout& layout) {
  std::map<std::string, HostTensor> tensors;
  float next = 0;
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      HostTensor tensor{slot.shape, std::vector<float>(slot.num_elements)};
      for (float& value : tensor.values) value = next++;
      tensors[slot.name] = std::move(tensor);
    }
  }
  return tensors;
}

TEST(ParameterLayoutTest, SlotsAreAdjacentAndQueryKeyValueWeightsTouch) {
  const ParameterLayout layout(SmallConfig(true, false), HeadKind::kLanguageModel);
  ASSERT_EQ(layout.blocks().size(), 4u);
  int64_t total = 0;
  for (const BlockLayout& block : layout.blocks()) {
    int64_t offset = 0;
    for (const TensorSlot& slot : block.tensors) {
      EXPECT_EQ(slot.offset, offset) << slot.name;
      offset += slot.num_elements;
    }
    EXPECT_EQ(offset, block.num_elements);
    total += offset;
  }
  EXPECT_EQ(layout.num_parameters(), total);
  const TensorSlot* query = layout.Find("model.layers.1.self_attn.q_proj.weight", nullptr);
  int block = -1;
  const TensorSlot* key = layout.Find("model.layers.1.self_attn.k_proj.weight", &block);
  const TensorSlot* value = layout.Find("model.layers.1.self_attn.v_proj.weight", nullptr);
  EXPECT_EQ(block, 2);
  EXPECT_EQ(key->offset, query->offset + query->num_elements);
  EXPECT_EQ(value->offset, key->offset + key->num_elements);
  EXPECT_EQ(layout.Find("model.layers.2.mlp.up_proj.weight", nullptr), nullptr);
}

TEST(ParameterLayoutTest, HeadIsTiedOrNotOrACritic) {
  const auto has_lm_head = [](bool is_tied, HeadKind head) {
    return ParameterLayout(SmallConfig(false, is_tied), head).Find("lm_head.weight", nullptr) !=
           nullptr;
  };
  EXPECT_TRUE(has_lm_head(false, HeadKind::kLanguageModel));
  EXPECT_FALSE(has_lm_head(true, HeadKind::kLanguageModel));
  EXPECT_FALSE(has_lm_head(false, HeadKind::kValue));
  const ParameterLayout critic(SmallConfig(false, true), HeadKind::kValue);
  EXPECT_NE(critic.Find("value_head.bias", nullptr), nullptr);
}

TEST(FlatWeightsTest, FlattenAndUnflattenAreInverse) {
  const ParameterLayout layout(SmallConfig(true, false), HeadKind::kLanguageModel);
  const PolicyWeights weights(CountingTensors(layout));
  const auto blocks = FlattenWeights(weights, layout);
  ASSERT_TRUE(blocks.ok()) << blocks.status();
  float next = 0;  // the test tensors count through the layout, so the flat buffers do too
  for (const std::vector<float>& block : *blocks) {
    for (const float value : block) ASSERT_EQ(value, next++);
  }
  const std::vector<std::span<const float>> spans(blocks->begin(), blocks->end());
  const auto again = UnflattenWeights(spans, layout);
  ASSERT_EQ(again->tensors().size(), weights.tensors().size());
  for (const auto& [name, tensor] : weights.tensors()) {
    EXPECT_EQ(again->Find(name)->shape, tensor.shape);
    EXPECT_EQ(again->Find(name)->values, tensor.values);
  }
}

TEST(PolicyWeightsTest, NamesAMissingTensorAndAWrongShape) {
  const ParameterLayout layout(SmallConfig(false, true), HeadKind::kLanguageModel);
  auto tensors = CountingTensors(layout);
  EXPECT_TRUE(PolicyWeights(tensors).CheckAgainst(layout).ok());
  auto missing = tensors;
  missing.erase("model.norm.weight");
  absl::Status status = PolicyWeights(missing).CheckAgainst(layout);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.norm.weight is missing"));
  tensors["model.norm.weight"].shape = {2, 4};
  status = PolicyWeights(tensors).CheckAgainst(layout);
  EXPECT_THAT(std::string(status.message()), HasSubstr("[2, 4]"));
}

}  // namespace
}  // namespace routewright
