// A model's configuration in a line, for tests and benchmarks.
#pragma once

#include "policy/model/model_config.h"

namespace routewright {

struct ModelShape {
  int64_t vocabulary = 0;
  int64_t width = 0;
  int64_t inner_width = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_width = 0;
  int64_t positions = ModelConfig().max_positions;
};

// A tied Llama of this shape, without end tokens.
inline ModelConfig ShapedModel(const ModelShape& shape) {
  ModelConfig config;
  config.architecture = Architecture::kLlama;
  config.vocabulary_size = shape.vocabulary;
  config.width = shape.width;
  config.intermediate_width = shape.inner_width;
  config.num_layers = shape.layers;
  config.num_heads = shape.heads;
  config.num_kv_heads = shape.kv_heads;
  config.head_width = shape.head_width;
  config.max_positions = shape.positions;
  config.is_tied = true;
  return config;
}

}  // namespace routewright
