#include "policy/model/policy_weights.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status_macros.h"

namespace routewright {

const HostTensor* PolicyWeights::Find(const std::string& name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

absl::Status PolicyWeights::CheckTensor(const TensorSlot& slot) const {
  const HostTensor* tensor = Find(slot.name);
  if (tensor == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat("tensor ", slot.name, " is missing"));
  }
  if (tensor->shape != slot.shape ||
      static_cast<int64_t>(tensor->values.size()) != slot.num_elements) {
    return absl::FailedPreconditionError(
        absl::StrCat("tensor ", slot.name, " has the shape [", absl::StrJoin(tensor->shape, ", "),
                     "], config.json asks for [", absl::StrJoin(slot.shape, ", "), "]"));
  }
  return absl::OkStatus();
}

absl::Status PolicyWeights::CheckAgainst(const ParameterLayout& layout) const {
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) RW_RETURN_IF_ERROR(CheckTensor(slot));
  }
  return absl::OkStatus();
}

}  // namespace routewright
