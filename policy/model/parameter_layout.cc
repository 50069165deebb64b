#include "policy/model/parameter_layout.h"

#include <functional>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "policy/model/block_tensors.h"

namespace routewright {
namespace {

void AddTensor(BlockLayout* block, std::string name, std::string gguf_name,
               std::vector<int64_t> shape) {
  TensorSlot slot;
  slot.name = std::move(name);
  slot.gguf_name = std::move(gguf_name);
  slot.num_elements =
      std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
  slot.shape = std::move(shape);
  slot.offset = block->num_elements;
  block->num_elements += slot.num_elements;
  block->tensors.push_back(std::move(slot));
}

BlockLayout TransformerBlock(const BlockTensors<JoinedTensor>& shapes, int64_t layer) {
  BlockLayout block;
  block.name = absl::StrCat("block.", layer);
  const auto add = [&](const JoinedTensor& tensor) {
    for (const JoinedTensor::Part& part : tensor.parts) {
      AddTensor(&block, absl::StrCat("model.layers.", layer, ".", part.name),
                absl::StrCat("blk.", layer, ".", part.gguf_name), tensor.shape_of(part));
    }
  };
  ForEachTensor(add, shapes);
  return block;
}

void AddValueHead(const ModelConfig& config, BlockLayout* block) {
  AddTensor(block, "value_head.weight", "", {1, config.width});
  AddTensor(block, "value_head.bias", "", {1});
}

}  // namespace

ParameterLayout::ParameterLayout(const ModelConfig& config, HeadKind head) {
  BlockLayout embedding;
  embedding.name = "embedding";
  AddTensor(&embedding, "model.embed_tokens.weight", "token_embd.weight",
            {config.vocabulary_size, config.width});
  blocks_.push_back(std::move(embedding));
  const BlockTensors<JoinedTensor> shapes = BlockTensorShapes(config);
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    blocks_.push_back(TransformerBlock(shapes, layer));
  }
  BlockLayout last;
  last.name = "head";
  AddTensor(&last, "model.norm.weight", "output_norm.weight", {config.width});
  if (head == HeadKind::kValue) {
    AddValueHead(config, &last);
  } else if (!config.is_tied) {
    AddTensor(&last, "lm_head.weight", "output.weight", {config.vocabulary_size, config.width});
  }
  blocks_.push_back(std::move(last));
  for (const BlockLayout& block : blocks_) num_parameters_ += block.num_elements;
}

ParameterLayout ParameterLayout::OfValueHead(const ModelConfig& config) {
  BlockLayout block;
  block.name = "value_head";
  AddValueHead(config, &block);
  ParameterLayout layout;
  layout.num_parameters_ = block.num_elements;
  layout.blocks_.push_back(std::move(block));
  return layout;
}

const TensorSlot* ParameterLayout::Find(const std::string& name, int* block) const {
  for (size_t b = 0; b < blocks_.size(); ++b) {
    for (const TensorSlot& slot : blocks_[b].tensors) {
      if (slot.name != name) continue;
      if (block != nullptr) *block = static_cast<int>(b);
      return &slot;
    }
  }
  return nullptr;
}

}  // namespace routewright
