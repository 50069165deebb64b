// Weights to start training from nothing.
#pragma once

#include <cstdint>

#include "policy/formats/tensor_source.h"
#include "policy/model/model_config.h"

namespace routewright {

// Matrices normal with standard deviation config.initializer_range, norms 1, biases 0, as Hugging
// Face initialises. A pure function of config and seed; any number of threads draw the same.
TensorSource RandomTensors(const ModelConfig& config, uint64_t seed, int num_threads = 1);

}  // namespace routewright
