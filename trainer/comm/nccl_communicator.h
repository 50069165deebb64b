// Collectives over NCCL between GPU buffers, on a stream of the communicator's own; host buffers go
// over MPI, which also hands NCCL's id around. One communicator a process, one GPU a rank.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "trainer/comm/communicator.h"

namespace switchyard {

// `host` carries the id and all host buffers. Uses the GPU local_rank modulo the number of visible
// GPUs. Fails: kUnimplemented in a build without CUDA; kUnavailable with NCCL's or CUDA's reason.
absl::StatusOr<std::unique_ptr<Communicator>> NewNcclCommunicator(
    std::unique_ptr<Communicator> host, absl::Duration deadline);

}  // namespace switchyard
