// `train --dry-run`: reads everything that a run would read, changes nothing, and says what the run
// would be.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace switchyard {

struct PlannedMachine {
  int ranks = 1;
  int ranks_per_host = 1;
  std::string device;  // as FindDeviceMemory takes it; "": cpu, or h100 if policy.device is cuda
};

// The resolved config as YAML, then comment lines with the policy's shape and parameter count,
// data, ranks and batch, memory per rank by kind, whether it fits, and if not what would make it.
// Fails: as the policy folder and the datasets do when they are loaded; kInvalidArgument for an
// unknown device.
absl::StatusOr<std::string> DescribeRun(const RunConfig& config, const PlannedMachine& machine);

}  // namespace switchyard
