// `train --dry-run`: reads everything that a run would read, changes nothing, and says what the run
// would be.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace switchyard {

// The resolved config as YAML, then comment lines with the policy's shape and parameter count,
// memory per rank, data, ranks and batch. Fails: as the policy folder and the datasets do when they
// are loaded.
absl::StatusOr<std::string> DescribeRun(const RunConfig& config, int num_ranks);

}  // namespace switchyard
