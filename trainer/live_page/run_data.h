// What the folder of a run says of the run, as JSON for the scripts of the report pages.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "proto/config.pb.h"

namespace routewright {

struct RunData {
  // {"run", "folder", "config"?, "total_steps"?, "models", "state", "environment", "curves",
  // "evaluation"}; null where it is not there.
  nlohmann::ordered_json json;
  std::optional<RunConfig> config;  // unset: not there, or of another program version
  // What was damaged or missing and is therefore not in it, a sentence each.
  std::vector<std::string> problems;
};

// Reads config.resolved.yaml, metrics.jsonl, environment.json, learner.json and, of `routewright
// eval`, report.json of `folder`. Fails: kNotFound if `folder` is no run's.
absl::StatusOr<RunData> ReadRunData(FileSystem& files, const std::string& folder);

}  // namespace routewright
