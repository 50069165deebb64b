// report.html: what a run came to, or what several runs came to beside one another, in one file. It is
// made from the runs' folders alone, so that it can be made again at any time.
#pragma once

#include <span>
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

// Of one folder: its curves, its evaluations, its config. Of several: the same curves as the mean
// over those runs that differ in their seed alone, with the band from the least to the largest, and
// the runs' evaluations. `folders` has no folder twice. Fails: kNotFound if one is no run's.
absl::StatusOr<RunReport> MakeRunReport(FileSystem& files, std::span<const std::string> folders);

// The same into `path`; problems are logged as warnings.
absl::Status WriteRunReport(FileSystem& files, std::span<const std::string> folders,
                            const std::string& path);

}  // namespace routewright
