// `train --dry-run`: reads everything that a run would read, changes nothing, and says what the run
// would be. Measures this machine for a second if it plans for CPU ranks without a ceiling.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace routewright {

struct PlannedMachine {
  int ranks = 1;
  int ranks_per_host = 1;
  std::string device;  // as FindDeviceMemory takes it; "": cpu, or h100 if policy.device is cuda
  double ceiling_tflops = 0;  // that a rank reaches in matrix products; 0: as device_speed assumes
  double link_gbytes_per_s = 0;  // between hosts, of a rank and each way; 0: likewise
};

// Fails: kInvalidArgument naming the flag of `train` to mend, if the device is unknown or the
// ceiling is above its datasheet's peak.
absl::Status CheckPlannedMachine(const RunConfig& config, const PlannedMachine& machine);

// The resolved config as YAML, then comment lines with the policy's shape and parameter count,
// data, ranks and batch, memory per rank by kind, whether it fits, and if not what would make it;
// time of a step's update, and what was assumed for it. Fails: as the policy folder and the
// datasets do when they are loaded; kInvalidArgument for an unknown device.
absl::StatusOr<std::string> DescribeRun(const RunConfig& config, const PlannedMachine& machine);

// Why a rank would not fit its machine, and the cheapest change that would make it; "" if it fits.
// Measures nothing. Fails as above.
absl::StatusOr<std::string> DescribeMisfit(const RunConfig& config, const PlannedMachine& machine);
// The same for what GPUs' ranks keep in the memory of a host that has as much as this machine.
absl::StatusOr<std::string> DescribeHostMisfit(const RunConfig& config,
                                               const PlannedMachine& machine);

}  // namespace routewright
