// Small policies with random weights for tests: shapes odd enough to meet every edge.
#pragma once

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/random.h"
#include "policy/model/model_config.h"
#include "policy/model/parameter_layout.h"
#include "policy/model/policy_weights.h"
#include "tests/policy/model/shaped_model.h"

namespace routewright {

inline ModelConfig TinyLlamaConfig() {
  ModelConfig config = ShapedModel({.vocabulary = 97,
                                    .width = 24,
                                    .inner_width = 40,
                                    .layers = 3,
                                    .heads = 6,
                                    .kv_heads = 2,
                                    .head_width = 8,
                                    .positions = 160});
  config.end_token_ids = {2};
  return config;
}

// Biased, untied, another grouping, scaled RoPE.
inline ModelConfig TinyQwenConfig() {
  ModelConfig config = TinyLlamaConfig();
  config.SetArchitecture(Architecture::kQwen2);
  config.num_heads = 4;
  config.num_kv_heads = 4;
  config.head_width = 6;
  config.rope_theta = 1e6;
  config.rope_scaling = {8, 1, 4, 64};
  config.norm_epsilon = 1e-6;
  config.is_tied = false;
  return config;
}

// Query and key heads normed, no bias, heads wider than the width's share.
inline ModelConfig TinyQwen3Config() {
  ModelConfig config = TinyLlamaConfig();
  config.SetArchitecture(Architecture::kQwen3);
  config.head_width = 10;
  config.norm_epsilon = 1e-6;
  return config;
}

// One of each architecture.
inline std::vector<ModelConfig> TinyConfigs() {
  return {TinyLlamaConfig(), TinyQwenConfig(), TinyQwen3Config()};
}

// Weights of a scale that keeps activations near 1, so that logits differ clearly.
inline std::shared_ptr<const PolicyWeights> RandomPolicyWeights(const ModelConfig& config,
                                                                uint64_t seed) {
  std::map<std::string, HostTensor> tensors;
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      const bool is_matrix = slot.shape.size() == 2;
      const double scale = is_matrix ? std::sqrt(3.0 / static_cast<double>(slot.shape[1])) : 0.3;
      const double mean = !is_matrix && slot.name.find("norm") != std::string::npos ? 1 : 0;
      HostTensor tensor{slot.shape, std::vector<float>(slot.num_elements)};
      const uint64_t key = StreamKey(seed, slot.name, 0);
      for (int64_t i = 0; i < slot.num_elements; ++i) {
        tensor.values[i] = static_cast<float>(mean + scale * (2 * RandomUniform(key, i) - 1));
      }
      tensors.emplace(slot.name, std::move(tensor));
    }
  }
  return std::make_shared<const PolicyWeights>(std::move(tensors));
}

inline std::vector<uint32_t> RandomTokens(const ModelConfig& config, int64_t count, uint64_t seed) {
  std::vector<uint32_t> ids(count);
  for (int64_t i = 0; i < count; ++i) {
    ids[i] =
        static_cast<uint32_t>(RandomBits(seed, i) % static_cast<uint64_t>(config.vocabulary_size));
  }
  return ids;
}

}  // namespace routewright
