// A policy's weights on the CPU as named f32 tensors: what safetensors and GGUF are read
// into, what the weight wire carries and what the decoder runs on. Immutable after it is
// built; any thread may read.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/model/parameter_layout.h"

namespace routewright {

struct HostTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;  // row-major
};

class PolicyWeights {
 public:
  PolicyWeights() = default;
  explicit PolicyWeights(std::map<std::string, HostTensor> tensors)
      : tensors_(std::move(tensors)) {}

  const std::map<std::string, HostTensor>& tensors() const { return tensors_; }
  // nullptr if there is none of this name.
  const HostTensor* Find(const std::string& name) const;
  // Ok if the slot's tensor, or every tensor of the layout, is present with its shape. Fail:
  // kFailedPrecondition naming the first that is not.
  absl::Status CheckTensor(const TensorSlot& slot) const;
  absl::Status CheckAgainst(const ParameterLayout& layout) const;

 private:
  std::map<std::string, HostTensor> tensors_;
};

}  // namespace routewright
