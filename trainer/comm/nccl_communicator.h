// Collectives over NCCL between GPU buffers, on a stream of the communicator's own; host buffers go
// over MPI, which also hands NCCL's id around. One communicator a process, one GPU a rank.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "trainer/comm/communicator.h"
#include "trainer/comm/mpi_thread.h"

namespace routewright {

// `thread`, which has initialised MPI, carries the id and all host buffers; its notice tells of
// operations over NCCL that fail or are not complete within its deadline, and of NCCL's
// initialisation: this process then ends. Uses the GPU local_rank modulo the number of visible
// GPUs. Fails, on every rank: kUnimplemented in a build without CUDA; kInvalidArgument if a rank
// has no GPU of its own; kUnavailable with CUDA's reason.
absl::StatusOr<std::unique_ptr<Communicator>> NewNcclCommunicator(
    std::shared_ptr<MpiThread> thread);

}  // namespace routewright
