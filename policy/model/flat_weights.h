// Between named tensors (PolicyWeights: files, the weight wire, the decoder) and one flat buffer
// per block (trainer: optimizer, sharding, the transformer's WeightProvider). Pure; any thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "policy/model/parameter_layout.h"
#include "policy/model/policy_weights.h"

namespace routewright {

// One buffer [P] per block of the layout, in its order.
// Fails: kFailedPrecondition naming the first tensor that is missing or of another shape.
absl::StatusOr<std::vector<std::vector<float>>> FlattenWeights(const PolicyWeights& weights,
                                                               const ParameterLayout& layout);

// The way back: `blocks` holds one buffer [P] per block of the layout (a wrong size
// is the caller's mistake).
std::shared_ptr<const PolicyWeights> UnflattenWeights(
    std::span<const std::span<const float>> blocks, const ParameterLayout& layout);

}  // namespace routewright
