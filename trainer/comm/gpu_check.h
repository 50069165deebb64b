// Whether the ranks' GPUs will do for NCCL, which takes one rank of a job a GPU and otherwise
// fails with "Duplicate GPU".
#pragma once

#include <span>
#include <string>

#include "absl/status/status.h"

namespace routewright {

// gpus  [ranks] each rank's GPU by a name that no other GPU has on any host; "": it sees none
// Fails: kInvalidArgument naming two ranks that share one, or one that has none. Pure; any thread.
absl::Status CheckOneGpuPerRank(std::span<const std::string> gpus);

}  // namespace routewright
