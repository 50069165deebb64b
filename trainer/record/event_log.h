// A run's event files for TensorBoard (`tensorboard --logdir runs`), in the run's folder beside
// metrics.jsonl: events.out.tfevents.<start>.<host>, one file for each start of the run. Each step
// is one record, written at once. When a run goes on, the steps that it makes again are taken out
// of the earlier files, and the new file begins with a START at that step, which makes a
// TensorBoard that is open drop what it has read of them: a step that was made twice is shown
// once. One thread, rank 0.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "proto/episode.pb.h"
#include "trainer/record/metrics.h"

namespace routewright {

// The names of event files begin with this.
inline constexpr std::string_view kEventFilePrefix = "events.out.tfevents.";

// What a step shows besides its metrics.
struct StepEvents {
  std::span<const Trajectory> trajectories;
  std::string tag_of_text;  // "": no text
  std::string text;         // control characters escaped
};

class EventLog {
 public:
  // Takes steps ≥ first_step out of the files in `folder`, and begins one that sorts after them, as
  // TensorBoard reads them in that order. `files` must outlive the log.
  static absl::StatusOr<EventLog> Open(FileSystem& files, const std::string& folder,
                                       int64_t first_step);

  // Every finite metric as a scalar under its name; histograms episode/reward_histogram and
  // episode/policy_tokens_histogram over the training episodes with a verdict; and the text.
  absl::Status Write(int64_t step, const Metrics& metrics, const StepEvents& events);

 private:
  EventLog(FileSystem& files, std::string path) : files_(&files), path_(std::move(path)) {}
  absl::Status Append(const std::string& records);

  FileSystem* files_;
  std::string path_;
  std::set<std::string> seen_tags_;
};

}  // namespace routewright
