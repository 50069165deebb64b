#include "policy/formats/tensor_source.h"

#include <map>
#include <string>
#include <utility>

#include "common/status_macros.h"

namespace routewright {

TensorSource TensorsOf(std::shared_ptr<const PolicyWeights> weights) {
  return [weights = std::move(weights)](const TensorSlot& slot) -> absl::StatusOr<HostTensor> {
    RW_RETURN_IF_ERROR(weights->CheckTensor(slot));
    return *weights->Find(slot.name);
  };
}

absl::StatusOr<std::shared_ptr<const PolicyWeights>> ReadAllTensors(const TensorSource& source,
                                                                    const ParameterLayout& layout) {
  std::map<std::string, HostTensor> tensors;
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      RW_ASSIGN_OR_RETURN(tensors[slot.name], source(slot));
    }
  }
  return std::make_shared<const PolicyWeights>(std::move(tensors));
}

}  // namespace routewright
