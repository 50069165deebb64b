// Where a policy's tensors come from, one at a time: a folder, a GGUF file, a random draw. What
// reads from here needs the memory of one tensor, whatever the policy's size.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "policy/model/parameter_layout.h"
#include "policy/model/policy_weights.h"

namespace routewright {

// The tensor of this slot as f32, in its shape. Fails naming where it should have come from and the
// tensor. One caller at a time.
using TensorSource = std::function<absl::StatusOr<HostTensor>(const TensorSlot&)>;

// Copies of tensors that are in memory. Fails: kFailedPrecondition naming one that
// is missing or misshapen.
TensorSource TensorsOf(std::shared_ptr<const PolicyWeights> weights);

// Every tensor of the layout. Fails as the source does.
absl::StatusOr<std::shared_ptr<const PolicyWeights>> ReadAllTensors(const TensorSource& source,
                                                                    const ParameterLayout& layout);

}  // namespace routewright
