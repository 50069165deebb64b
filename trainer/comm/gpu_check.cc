#include "trainer/comm/gpu_check.h"

#include <map>

#include "absl/strings/str_cat.h"

namespace routewright {

absl::Status CheckOneGpuPerRank(std::span<const std::string> gpus) {
  constexpr const char* kRemedy =
      "NCCL needs a GPU for each rank: start no more ranks on a host than it has GPUs, or set "
      "policy.device: cpu";
  std::map<std::string, int> rank_of;
  for (int r = 0; r < static_cast<int>(gpus.size()); ++r) {
    if (gpus[r].empty()) {
      return absl::InvalidArgumentError(absl::StrCat("rank ", r, " sees no GPU; ", kRemedy));
    }
    const auto [place, is_first] = rank_of.emplace(gpus[r], r);
    if (is_first) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "ranks ", place->second, " and ", r, " would both compute on ", gpus[r], "; ", kRemedy));
  }
  return absl::OkStatus();
}

}  // namespace routewright
