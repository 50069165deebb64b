#include "policy/decoder/packed_weights.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "policy/model/parameter_layout.h"

namespace routewright {
namespace {

using Names = std::initializer_list<const char*>;

// The named matrices under one another.
PackedMatrix PackStacked(const PolicyWeights& weights, const std::string& prefix, Names names) {
  int64_t num_outputs = 0, num_inputs = 0;
  for (const char* name : names) {
    const HostTensor* tensor = weights.Find(prefix + name);
    num_outputs += tensor->shape[0];
    num_inputs = tensor->shape[1];
  }
  PackedMatrix packed(num_outputs, num_inputs);
  int64_t first = 0;
  for (const char* name : names) {
    const HostTensor* tensor = weights.Find(prefix + name);
    packed.SetRows(first, tensor->values);
    first += tensor->shape[0];
  }
  return packed;
}

PackedLayer PackLayer(const ModelConfig& config, const PolicyWeights& weights, int64_t layer) {
  const std::string prefix = absl::StrCat("model.layers.", layer, ".");
  PackedLayer packed;
  packed.attention_norm = weights.Find(prefix + "input_layernorm.weight")->values;
  packed.qkv = PackStacked(
      weights, prefix,
      {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"});
  if (config.is_qkv_biased) {
    for (const char* name :
         {"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"}) {
      const std::vector<float>& bias = weights.Find(prefix + name)->values;
      packed.qkv_bias.insert(packed.qkv_bias.end(), bias.begin(), bias.end());
    }
  }
  if (config.is_qk_normed) {
    packed.query_norm = weights.Find(prefix + "self_attn.q_norm.weight")->values;
    packed.key_norm = weights.Find(prefix + "self_attn.k_norm.weight")->values;
  }
  packed.attention_output = PackStacked(weights, prefix, {"self_attn.o_proj.weight"});
  packed.mlp_norm = weights.Find(prefix + "post_attention_layernorm.weight")->values;
  packed.gate_up = PackStacked(weights, prefix, {"mlp.gate_proj.weight", "mlp.up_proj.weight"});
  packed.down = PackStacked(weights, prefix, {"mlp.down_proj.weight"});
  return packed;
}

}  // namespace

absl::StatusOr<PackedWeights> PackedWeights::Pack(const ModelConfig& config,
                                                  const PolicyWeights& weights) {
  RW_RETURN_IF_ERROR(weights.CheckAgainst(ParameterLayout(config, HeadKind::kLanguageModel)));
  PackedWeights packed;
  if (!config.is_tied) packed.embedding = weights.Find("model.embed_tokens.weight")->values;
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    packed.layers.push_back(PackLayer(config, weights, layer));
  }
  packed.final_norm = weights.Find("model.norm.weight")->values;
  packed.head =
      PackStacked(weights, "", {config.is_tied ? "model.embed_tokens.weight" : "lm_head.weight"});
  return packed;
}

void PackedWeights::Embed(uint32_t token_id, float* row) const {
  if (embedding.empty()) return head.CopyRow(token_id, row);
  const int64_t width = head.num_inputs();
  std::copy_n(embedding.begin() + token_id * width, width, row);
}

}  // namespace routewright
