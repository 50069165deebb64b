#include "trainer/update/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <thread>

namespace routewright {
namespace {

int NumGpus() {
  return at::globalContext().hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount())
                                       : 0;
}

}  // namespace

absl::StatusOr<bool> IsOnGpu(const RunConfig& config) {
  switch (config.policy().device()) {
    case PolicyConfig::DEVICE_CPU:
      return false;
    case PolicyConfig::DEVICE_CUDA:
      if (NumGpus() > 0) return true;
      return absl::FailedPreconditionError(
          "policy.device is cuda, but no GPU can be used: this machine has none, its driver is "
          "missing, or the program was built without CUDA; set policy.device: cpu");
    default:
      return !config.run().deterministic() && NumGpus() > 0;
  }
}

at::Device ChooseDevice(bool is_on_gpu, int local_rank) {
  if (!is_on_gpu) return at::kCPU;
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(local_rank % NumGpus()));
}

void SetThreads(const RunConfig& config, int local_size) {
  int threads = config.trainer().threads_per_rank();
  if (threads == 0 && config.run().deterministic()) threads = 1;
  if (threads == 0) {
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    threads = std::max(1, cores / std::max(1, local_size));
  }
  at::set_num_threads(threads);
}

}  // namespace routewright
