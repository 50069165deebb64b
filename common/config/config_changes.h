// What differs between two configurations, for people: a run that goes on with other settings
// says so. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"

namespace routewright {

// One text a setting, "trainer.steps: 6 -> 9", in the schema's order; a default that was written
// out equals one that was not. `before_yaml` is a config.resolved.yaml. Fails: kInvalidArgument if
// this version cannot read it.
absl::StatusOr<std::vector<std::string>> ConfigChanges(const std::string& before_yaml,
                                                       const RunConfig& now);

}  // namespace routewright
