// A run's metrics: metrics.jsonl, one JSON object a line, one line a step. trainer/METRICS.md lists
// every name with its meaning. Names are noun/measure_unit; those that end in _s or _ms or contain
// per_s are times, and those under workers/ depend on the fleet: all others repeat exactly in a
// deterministic run. One thread, rank 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"

namespace routewright {

// Metrics by name, in the order that they are written.
class Metrics {
 public:
  void Set(const std::string& name, double value) { values_.emplace_back(name, value); }
  void Append(const Metrics& other);
  // The value of `name`, or `otherwise` if there is none.
  double Get(const std::string& name, double otherwise = 0.0) const;
  const std::vector<std::pair<std::string, double>>& values() const { return values_; }

 private:
  std::vector<std::pair<std::string, double>> values_;
};

// False: these are of the evaluation after the last step, which is no step.
bool AreOfStep(const Metrics& metrics);

// {"step":12,"episode/em":0.5,…} without a newline. Numbers read back to the same bits;
// what is not finite is null.
std::string MetricsToJson(int64_t step, const Metrics& metrics);

struct MetricsRow {
  int64_t step = 0;
  Metrics metrics;
};
// The way back; null is NaN. Unset: not a whole line of metrics.
std::optional<MetricsRow> ParseMetricsRow(const std::string& line);

class MetricsLog {
 public:
  // Goes on with the file at `path`, or begins it. Lines of steps ≥ first_step are taken out (a
  // run that was killed after its checkpoint makes those steps again), as is a torn last line.
  // `files` must outlive the log.
  static absl::StatusOr<MetricsLog> Open(FileSystem& files, const std::string& path,
                                         int64_t first_step);
  absl::Status Write(int64_t step, const Metrics& metrics);

 private:
  MetricsLog(FileSystem& files, std::string path) : files_(&files), path_(std::move(path)) {}

  FileSystem* files_;
  std::string path_;
};

}  // namespace routewright
