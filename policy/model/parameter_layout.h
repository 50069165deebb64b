// How a policy's parameters lie in flat buffers, one per block: block 0 is the embedding, blocks
// 1…L are the transformer blocks, block L+1 is the head (final norm, and lm_head unless tied; or
// a value head). Sharding, optimizer, checkpoints and weight sync all speak in these blocks;
// names are Hugging Face's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/model/model_config.h"

namespace routewright {

enum class HeadKind {
  kLanguageModel,  // model.norm.weight [C], lm_head.weight [V, C] unless tied
  kValue,  // model.norm.weight [C], value_head.weight [1, C], value_head.bias [1]: the critic
};

struct TensorSlot {
  std::string name;       // "model.layers.0.self_attn.q_proj.weight"
  std::string gguf_name;  // in GGUF files, "blk.0.attn_q.weight"; empty: they have no such tensor
  std::vector<int64_t> shape;
  int64_t offset = 0;  // elements from the start of its block's buffer
  int64_t num_elements = 0;
};

struct BlockLayout {
  std::string name;  // "embedding", "block.0", …, "head"
  std::vector<TensorSlot> tensors;
  int64_t num_elements = 0;  // P of this block
};

class ParameterLayout {
 public:
  ParameterLayout(const ModelConfig& config, HeadKind head);
  // Of a value head alone, for a critic that shares the policy's trunk: one block, "value_head",
  // with value_head.weight [1, C] and value_head.bias [1].
  static ParameterLayout OfValueHead(const ModelConfig& config);
  const std::vector<BlockLayout>& blocks() const { return blocks_; }
  int64_t num_parameters() const { return num_parameters_; }
  // The tensor's slot and block, or nullptr.
  const TensorSlot* Find(const std::string& name, int* block) const;

 private:
  ParameterLayout() = default;

  std::vector<BlockLayout> blocks_;
  int64_t num_parameters_ = 0;
};

}  // namespace routewright
