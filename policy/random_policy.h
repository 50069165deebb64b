// Weights to start training from nothing.
#pragma once

#include <cstdint>
#include <memory>

#include "policy/model_config.h"
#include "policy/policy_weights.h"

namespace switchyard {

// Matrices normal with standard deviation config.initializer_range, norms 1, biases 0, as Hugging
// Face initialises. A pure function of config and seed.
std::shared_ptr<const PolicyWeights> RandomWeights(const ModelConfig& config, uint64_t seed);

}  // namespace switchyard
