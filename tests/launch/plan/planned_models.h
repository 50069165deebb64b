// The models whose plans are checked.
#pragma once

#include "tests/policy/model/shaped_model.h"

namespace routewright {

// Small enough to count by hand. Of each block: qkv 8 x 4, output 4 x 4, gate and up 12 x 4, down
// 4 x 6, which are 120 elements, and two norms of 4. Embedding 10 x 4, which is the head too, and a
// norm of 4.
inline ModelConfig CountedModel() {
  ModelConfig model = ShapedModel({.vocabulary = 10,
                                   .width = 4,
                                   .inner_width = 6,
                                   .layers = 2,
                                   .heads = 2,
                                   .kv_heads = 1,
                                   .head_width = 2,
                                   .positions = 64});
  model.end_token_ids = {1};
  return model;
}

// Qwen2.5-3B.
inline ModelConfig Qwen3BModel() {
  ModelConfig model = ShapedModel({.vocabulary = 151936,
                                   .width = 2048,
                                   .inner_width = 11008,
                                   .layers = 36,
                                   .heads = 16,
                                   .kv_heads = 2,
                                   .head_width = 128,
                                   .positions = 32768});
  model.SetArchitecture(Architecture::kQwen2);
  model.rope_theta = 1e6;
  model.norm_epsilon = 1e-6;
  model.end_token_ids = {151645};
  return model;
}

}  // namespace routewright
