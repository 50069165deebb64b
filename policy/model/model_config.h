// The shape of a policy: what config.json of a Hugging Face folder says (or
// GGUF metadata), checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/model/architectures.h"

namespace routewright {

// RoPE scaling "llama3" (Llama 3.1+); factor 1 means none.
struct RopeScaling {
  double factor = 1.0;
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  int64_t original_max_positions = 8192;
};

struct ModelConfig : BlockParts {
  Architecture architecture = Architecture::kLlama;
  int64_t vocabulary_size = 0;     // V
  int64_t width = 0;               // C, hidden_size
  int64_t intermediate_width = 0;  // of the SwiGLU
  int64_t num_layers = 0;          // L
  int64_t num_heads = 0;           // H
  int64_t num_kv_heads = 0;        // divides num_heads
  int64_t head_width = 0;          // even
  int64_t max_positions = 0;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  double norm_epsilon = 1e-5;
  double initializer_range = 0.02;      // standard deviation of random weights
  bool is_tied = false;                 // the head's weight is the embedding's
  std::vector<uint32_t> end_token_ids;  // eos_token_id of config.json and generation_config.json

  // With its parts.
  void SetArchitecture(Architecture value);

  // Rotation frequency of pair i of a head (i in [0, head_width/2)), scaling applied, radians per
  // position. Source: Su et al. 2021; "llama3" scaling as in Hugging Face's
  // _compute_llama3_parameters.
  std::vector<double> RopeFrequencies() const;
};

// Fails: kInvalidArgument naming the key that is missing, of the wrong type or not supported.
absl::StatusOr<ModelConfig> ParseModelConfig(const std::string& config_json,
                                             const std::string& origin);
// Adds the eos_token_id of a generation_config.json to end_token_ids. Fails like ParseModelConfig.
absl::Status AddEndTokens(const std::string& generation_config_json, const std::string& origin,
                          ModelConfig* config);
// config.json as Hugging Face reads it; `torch_dtype` is "float32" or "bfloat16".
std::string ModelConfigToJson(const ModelConfig& config, const std::string& torch_dtype);

}  // namespace routewright
