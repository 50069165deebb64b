// A model small enough to train in a test, with weights that depend on the seed only.
#pragma once

#include <memory>

#include "common/random.h"
#include "policy/model/model_config.h"
#include "policy/model/parameter_layout.h"
#include "policy/model/policy_weights.h"
#include "tests/policy/model/shaped_model.h"

namespace routewright {

inline ModelConfig TinyModelConfig() {
  ModelConfig config = ShapedModel({.vocabulary = 61,
                                    .width = 16,
                                    .inner_width = 24,
                                    .layers = 2,
                                    .heads = 4,
                                    .kv_heads = 2,
                                    .head_width = 4,
                                    .positions = 128});
  config.end_token_ids = {1};
  return config;
}

// Matrices uniform in ±0.25, norms 1.
inline std::shared_ptr<const PolicyWeights> TinyModelWeights(const ModelConfig& config,
                                                             uint64_t seed) {
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  std::map<std::string, HostTensor> tensors;
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      HostTensor tensor{slot.shape, std::vector<float>(slot.num_elements, 1.0f)};
      const uint64_t key = StreamKey(seed, slot.name, 0);
      if (slot.shape.size() > 1) {
        for (int64_t i = 0; i < slot.num_elements; ++i) {
          tensor.values[i] = static_cast<float>(0.5 * RandomUniform(key, i) - 0.25);
        }
      }
      tensors.emplace(slot.name, std::move(tensor));
    }
  }
  return std::make_shared<PolicyWeights>(std::move(tensors));
}

}  // namespace routewright
