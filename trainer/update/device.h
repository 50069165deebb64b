// Which device this rank computes on and with how many threads. Called once, at start.
#pragma once

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace routewright {

// Whether the trainer will compute on a GPU: policy.device, where AUTO means "if this
// machine has one and the run is not deterministic". Fails: kFailedPrecondition if CUDA is
// asked for and there is none.
absl::StatusOr<bool> IsOnGpu(const RunConfig& config);

// The rank's device: the CPU, or GPU number local_rank modulo the GPUs of this machine.
at::Device ChooseDevice(bool is_on_gpu, int local_rank);

// trainer.threads_per_rank; 0 means 1 in a deterministic run, else this machine's
// cores shared among its ranks.
void SetThreads(const RunConfig& config, int local_size);

}  // namespace routewright
