// The folder of a run as the learner keeps it: where its files are, what a fresh start puts aside,
// and the record of how it ended. Rank 0, one thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "common/file_system.h"
#include "proto/episode.pb.h"

namespace routewright {

// Whether the share picks this trajectory to be kept: by its episode id alone, so that a step
// made again picks the same.
bool IsRecorded(const Trajectory& trajectory, double share, uint64_t seed);

class RunFolderFiles {
 public:
  // `folder` is <output_dir>/<name>; `files` must outlive this object.
  // `submission` as LearnerParts says.
  RunFolderFiles(FileSystem& files, std::string folder, std::string submission = "");

  const std::string& folder() const { return folder_; }
  std::string checkpoints() const { return folder_ + "/checkpoints"; }
  std::string metrics() const { return folder_ + "/metrics.jsonl"; }
  std::string trajectories() const { return folder_ + "/trajectories"; }
  std::string journal() const { return folder_ + "/journal"; }
  std::string traces() const { return folder_ + "/traces"; }
  std::string trace_request() const { return folder_ + "/trace.request"; }
  std::string trace_claim() const { return folder_ + "/trace.claim"; }  // of a step that is traced
  std::string config() const { return folder_ + "/config.resolved.yaml"; }

  // Makes the folder and writes config.resolved.yaml and, unless it is empty, environment.json.
  absl::Status Prepare(const std::string& config_yaml, const std::string& environment_json);

  // For a run that starts anew where one was: moves checkpoints, metrics.jsonl, TensorBoard's
  // event files, report.*, trajectories/, traces/ and journal/ into previous-1/ (or the first number that is
  // free). Nothing is deleted.
  absl::Status PutAside();

  // Writes trajectories/step-000012.jsonl, for `what` "step": those
  // trajectories that the share picks.
  absl::Status RecordTrajectories(const std::string& what, int64_t step,
                                  std::span<const Trajectory> trajectories, double share,
                                  uint64_t seed);

  // learner.json: {"state":"running"|"finished"|"preempted"|"failed","step":…,"message":…,
  // "learner":…,"submission":…,"submission_first_step":…}; the submission is that of the start that
  // last began. A launcher trusts it, not mpirun's status. The first call takes the folder over
  // from whichever learner had it, later ones fail as CheckIsOurs; one that did not begin with
  // "running" fails (kAborted) if the record says that somebody runs.
  absl::Status WriteState(const std::string& state, int64_t step, const std::string& message);

  // A learner on a host that was cut off may outlive its job, and see the folder again when another
  // has gone on in it. Fails: kAborted, naming the other.
  absl::Status CheckIsOurs() const;

  // What learner.json says; 0 and "" if there is none.
  int64_t RecordedStep() const;
  std::string RecordedSubmission() const;
  // The step that the recorded submission first began with.
  int64_t SubmissionFirstStep() const;

 private:
  absl::Status CheckIsNotRunning() const;
  std::string state_file() const { return folder_ + "/learner.json"; }

  FileSystem& files_;
  const std::string folder_;
  const std::string submission_;
  const std::string learner_;  // this one, as HOST:PID:TIME
  bool has_taken_over_ = false;
};

// For a learner that ends before it has made or read anything of a run's: "failed", with the
// reason, into learner.json, unless another learner is making the run. A fault of that is logged.
void RecordFailedStart(FileSystem& files, const std::string& folder, const absl::Status& why);

}  // namespace routewright
