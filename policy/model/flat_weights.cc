#include "policy/model/flat_weights.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "common/check.h"
#include "common/status_macros.h"

namespace routewright {

absl::StatusOr<std::vector<std::vector<float>>> FlattenWeights(const PolicyWeights& weights,
                                                               const ParameterLayout& layout) {
  RW_RETURN_IF_ERROR(weights.CheckAgainst(layout));
  std::vector<std::vector<float>> blocks;
  for (const BlockLayout& block : layout.blocks()) {
    std::vector<float> flat(block.num_elements);
    for (const TensorSlot& slot : block.tensors) {
      const std::vector<float>& values = weights.Find(slot.name)->values;
      std::copy(values.begin(), values.end(), flat.begin() + slot.offset);
    }
    blocks.push_back(std::move(flat));
  }
  return blocks;
}

std::shared_ptr<const PolicyWeights> UnflattenWeights(
    std::span<const std::span<const float>> blocks, const ParameterLayout& layout) {
  RW_CHECK(blocks.size() == layout.blocks().size()) << blocks.size() << " buffers";
  std::map<std::string, HostTensor> tensors;
  for (size_t b = 0; b < blocks.size(); ++b) {
    const BlockLayout& block = layout.blocks()[b];
    RW_CHECK(static_cast<int64_t>(blocks[b].size()) == block.num_elements) << block.name;
    for (const TensorSlot& slot : block.tensors) {
      const std::span<const float> values = blocks[b].subspan(slot.offset, slot.num_elements);
      tensors[slot.name] = HostTensor{slot.shape, {values.begin(), values.end()}};
    }
  }
  return std::make_shared<const PolicyWeights>(std::move(tensors));
}

}  // namespace routewright
