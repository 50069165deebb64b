// Takes nccl_communicator.cc's place in builds without CUDA.
#include "trainer/comm/libraries.h"
#include "trainer/comm/nccl_communicator.h"

namespace routewright {

absl::StatusOr<std::unique_ptr<Communicator>> NewNcclCommunicator(std::shared_ptr<MpiThread>) {
  return absl::UnimplementedError(
      "this build has no NCCL: build where nvcc is found, or set policy.device: cpu");
}

std::string NcclLibraryVersion() { return ""; }

}  // namespace routewright
