// What `routewright inspect` says, as JSON: scalar fields first, then lists of rows, which the
// command prints as tables. Names carry their units. Reads only; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace routewright {

// Recognises what `path` is: a checkpoint (manifest.json), a policy folder (config.json), a
// *.safetensors or GGUF file, or a trajectory file (JSON lines). "kind" of the report says which.
// Fails: kNotFound; kInvalidArgument if it is none of them; kDataLoss naming the file and what
// is wrong in it. A damaged checkpoint is not a failure: its report has "state": "damaged", and
// each file its own state.
absl::StatusOr<nlohmann::ordered_json> InspectPath(const std::string& path);

absl::StatusOr<nlohmann::ordered_json> InspectCheckpoint(const std::string& folder);
absl::StatusOr<nlohmann::ordered_json> InspectTrajectories(const std::string& path);

}  // namespace routewright
