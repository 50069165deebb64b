// The tensors of one transformer block, by name. This file alone says which there are, of what shape, and in which order
// they lie in the block's flat buffer (policy/model/parameter_layout): whoever cuts, joins or packs a block asks here.
// To add an architecture's tensor: a field, its place in ForEachTensor, its shape in BlockTensorShapes.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/model/model_config.h"

namespace routewright {

// One of each; `Tensor` is whatever stands for one. Neighbours that read the same activations are joined: rows of queries,
// keys and values, rows of gates and ups.
template <typename Tensor>
struct BlockTensors {
  Tensor input_norm;           // [C]
  Tensor qkv;                  // [(H + 2K)·D, C]
  Tensor qkv_bias;             // [(H + 2K)·D], if ModelConfig::is_qkv_biased
  Tensor query_norm;           // [D], if ModelConfig::is_qk_normed
  Tensor key_norm;             // [D], likewise
  Tensor attention_output;     // [C, H·D]
  Tensor post_attention_norm;  // [C]
  Tensor gate_up;              // [2I, C]
  Tensor down;                 // [C, I]
};

// Calls visit(field of each block…) for every field, in the buffer's order.
template <typename Visit, typename... Blocks>
constexpr void ForEachTensor(const Visit& visit, Blocks&... blocks) {
  visit(blocks.input_norm...);
  visit(blocks.qkv...);
  visit(blocks.qkv_bias...);
  visit(blocks.query_norm...);
  visit(blocks.key_norm...);
  visit(blocks.attention_output...);
  visit(blocks.post_attention_norm...);
  visit(blocks.gate_up...);
  visit(blocks.down...);
}

// Whether it visits each field once: one that is forgotten would be in nobody's buffer.
constexpr bool VisitsEachTensorOnce() {
  BlockTensors<char> block = {};
  ForEachTensor([](char& visits) { ++visits; }, block);
  for (const char visits : std::bit_cast<std::array<char, sizeof(block)>>(block)) {
    if (visits != 1) return false;
  }
  return true;
}
static_assert(VisitsEachTensorOnce(), "each field of BlockTensors has one place in ForEachTensor");

// How one field lies in the buffer: the tensors of Hugging Face's that it joins, one under the other.
struct JoinedTensor {
  struct Part {
    std::string name;       // below "model.layers.N.", as "self_attn.q_proj.weight"
    std::string gguf_name;  // the same in GGUF files, below "blk.N.": "attn_q.weight"
    int64_t rows = 0;
  };
  std::vector<Part> parts;  // none: the architecture has no such tensor
  int64_t columns = 0;      // 0: one dimension

  bool exists() const { return !parts.empty(); }
  int64_t rows() const;
  std::vector<int64_t> shape() const;  // of all parts together
  std::vector<int64_t> shape_of(const Part& part) const;
};

BlockTensors<JoinedTensor> BlockTensorShapes(const ModelConfig& config);

}  // namespace routewright
