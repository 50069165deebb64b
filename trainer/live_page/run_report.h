// report.html: what a run came to, in one file that a browser opens from the disk and that fetches
// nothing. It is made from the run's folder alone, so that it can be made again at any time.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/file_system.h"

namespace routewright {

struct RunReport {
  std::string html;
  // What was damaged or missing and is therefore not in it, a sentence each; the page says so too.
  std::vector<std::string> problems;
};

// Reads config.resolved.yaml, metrics.jsonl, environment.json, learner.json and, of `routewright
// eval`, report.json of `folder`. Fails: kNotFound if `folder` is no run's.
absl::StatusOr<RunReport> MakeRunReport(FileSystem& files, const std::string& folder);

// The same into `path`; problems are logged as warnings.
absl::Status WriteRunReport(FileSystem& files, const std::string& folder, const std::string& path);

}  // namespace routewright
