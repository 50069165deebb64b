// How fast this machine multiplies matrices, measured: the ceiling of a plan for CPU
// ranks that was given none.
#pragma once

#include "policy/model/model_config.h"
#include "proto/config.pb.h"

namespace routewright {

// FLOP/s that each of `ranks_per_host` ranks gets of this machine if all compute at once, with the
// config's threads: in the largest product of the model's blocks (gate and up) over a micro-batch,
// cut to a size that takes moments; the fastest of what a second holds. Sets LibTorch's threads.
double MeasureMatmulCeiling(const ModelConfig& model, const RunConfig& config, bool is_bf16,
                            int ranks_per_host);

}  // namespace routewright
