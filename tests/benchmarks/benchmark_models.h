// The models that benchmarks measure.
#pragma once

#include "tests/policy/model/shaped_model.h"

namespace routewright {

// The quickstart's shape, 1 M parameters.
inline ModelConfig QuickstartShapedModel() {
  return ShapedModel({.vocabulary = 1024,
                      .width = 128,
                      .inner_width = 384,
                      .layers = 4,
                      .heads = 4,
                      .kv_heads = 2,
                      .head_width = 32,
                      .positions = 8192});
}

// SmolLM2-135M has 30 layers and a vocabulary of 49152.
inline ModelConfig SmolLm2ShapedModel(int64_t layers = 30, int64_t vocabulary_size = 49152) {
  return ShapedModel({.vocabulary = vocabulary_size,
                      .width = 576,
                      .inner_width = 1536,
                      .layers = layers,
                      .heads = 9,
                      .kv_heads = 3,
                      .head_width = 64,
                      .positions = 8192});
}

}  // namespace routewright
