#include "policy/model/block_tensors.h"

namespace routewright {
namespace {

std::vector<int64_t> Shape(int64_t rows, int64_t columns) {
  return columns == 0 ? std::vector<int64_t>{rows} : std::vector<int64_t>{rows, columns};
}

}  // namespace

int64_t JoinedTensor::rows() const {
  int64_t sum = 0;
  for (const Part& part : parts) sum += part.rows;
  return sum;
}

std::vector<int64_t> JoinedTensor::shape() const { return Shape(rows(), columns); }

std::vector<int64_t> JoinedTensor::shape_of(const Part& part) const {
  return Shape(part.rows, columns);
}

BlockTensors<JoinedTensor> BlockTensorShapes(const ModelConfig& config) {
  const int64_t width = config.width, inner = config.intermediate_width, head = config.head_width;
  const int64_t query_rows = config.num_heads * head, kv_rows = config.num_kv_heads * head;
  BlockTensors<JoinedTensor> block;
  block.input_norm = {{{"input_layernorm.weight", "attn_norm.weight", width}}};
  block.qkv = {{{"self_attn.q_proj.weight", "attn_q.weight", query_rows},
                {"self_attn.k_proj.weight", "attn_k.weight", kv_rows},
                {"self_attn.v_proj.weight", "attn_v.weight", kv_rows}},
               width};
  if (config.is_qkv_biased) {
    block.qkv_bias = {{{"self_attn.q_proj.bias", "attn_q.bias", query_rows},
                       {"self_attn.k_proj.bias", "attn_k.bias", kv_rows},
                       {"self_attn.v_proj.bias", "attn_v.bias", kv_rows}}};
  }
  if (config.is_qk_normed) {
    block.query_norm = {{{"self_attn.q_norm.weight", "attn_q_norm.weight", head}}};
    block.key_norm = {{{"self_attn.k_norm.weight", "attn_k_norm.weight", head}}};
  }
  block.attention_output = {{{"self_attn.o_proj.weight", "attn_output.weight", width}}, query_rows};
  block.post_attention_norm = {{{"post_attention_layernorm.weight", "ffn_norm.weight", width}}};
  block.gate_up = {{{"mlp.gate_proj.weight", "ffn_gate.weight", inner},
                    {"mlp.up_proj.weight", "ffn_up.weight", inner}},
                   width};
  block.down = {{{"mlp.down_proj.weight", "ffn_down.weight", width}}, inner};
  return block;
}

}  // namespace routewright
