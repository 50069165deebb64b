#include "policy/decoder/packed_weights.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "policy/model/parameter_layout.h"

namespace routewright {
namespace {

// The named matrices under one another.
PackedMatrix PackStacked(const PolicyWeights& weights, const std::vector<std::string>& names) {
  int64_t num_outputs = 0, num_inputs = 0;
  for (const std::string& name : names) {
    const HostTensor* tensor = weights.Find(name);
    num_outputs += tensor->shape[0];
    num_inputs = tensor->shape[1];
  }
  PackedMatrix packed(num_outputs, num_inputs);
  int64_t first = 0;
  for (const std::string& name : names) {
    const HostTensor* tensor = weights.Find(name);
    packed.SetRows(first, tensor->values);
    first += tensor->shape[0];
  }
  return packed;
}

BlockTensors<PackedTensor> PackBlock(const BlockTensors<JoinedTensor>& shapes,
                                     const PolicyWeights& weights, int64_t layer) {
  BlockTensors<PackedTensor> block;
  const auto pack = [&](const JoinedTensor& joined, PackedTensor& packed) {
    std::vector<std::string> names;
    for (const JoinedTensor::Part& part : joined.parts) {
      names.push_back(absl::StrCat("model.layers.", layer, ".", part.name));
    }
    if (joined.exists() && joined.columns > 0) {
      packed.matrix = PackStacked(weights, names);
      return;
    }
    for (const std::string& name : names) {
      const std::vector<float>& values = weights.Find(name)->values;
      packed.values.insert(packed.values.end(), values.begin(), values.end());
    }
  };
  ForEachTensor(pack, shapes, block);
  return block;
}

}  // namespace

absl::StatusOr<PackedWeights> PackedWeights::Pack(const ModelConfig& config,
                                                  const PolicyWeights& weights) {
  RW_RETURN_IF_ERROR(weights.CheckAgainst(ParameterLayout(config, HeadKind::kLanguageModel)));
  PackedWeights packed;
  if (!config.is_tied) packed.embedding = weights.Find("model.embed_tokens.weight")->values;
  const BlockTensors<JoinedTensor> shapes = BlockTensorShapes(config);
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    packed.blocks.push_back(PackBlock(shapes, weights, layer));
  }
  packed.final_norm = weights.Find("model.norm.weight")->values;
  packed.head =
      PackStacked(weights, {config.is_tied ? "model.embed_tokens.weight" : "lm_head.weight"});
  return packed;
}

void PackedWeights::Embed(uint32_t token_id, float* row) const {
  if (embedding.empty()) return head.CopyRow(token_id, row);
  const int64_t width = head.num_inputs();
  std::copy_n(embedding.begin() + token_id * width, width, row);
}

}  // namespace routewright
