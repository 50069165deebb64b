// The checkpoints of a run: which there are, which stay, and which one a run goes on from. Rank
// 0, one thread at a time.
//
//   <run>/checkpoints/.step-000123.partial/   written aside, every file synced, manifest.json last
//   … <run>/checkpoints/step-000123/            … then renamed, and the parent synced
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "proto/checkpoint.pb.h"
#include "proto/config.pb.h"

namespace routewright {

class CheckpointStore {
 public:
  // `folder` is <run>/checkpoints; `files` must outlive the store.
  CheckpointStore(FileSystem& files, std::string folder, CheckpointConfig config);

  std::string FolderOf(int64_t step) const;
  std::string FolderAside(int64_t step) const;

  // Steps of the checkpoints that are there, ascending.
  absl::StatusOr<std::vector<int64_t>> Steps() const;

  // Removes what a process that died left aside.
  absl::Status RemoveUnfinished();
  // Puts the folder aside in its place. Returns once the checkpoint would survive a power cut.
  absl::Status Commit(int64_t step);
  // Removes all checkpoints but the newest keep_last, those of every keep_every_steps-th step and
  // the keep_best ones with the highest best_metric among the `evaluations` that are known, under
  // each settings that evaluations had.
  absl::Status Prune(const LearnerState& learner);

  // A damaged one is logged and renamed to damaged-step-…
  absl::Status PutAsideDamaged(int64_t step, const absl::Status& why);
  // Renames the checkpoints of later steps to abandoned-step-…: a run that goes back to `step`
  // takes another way from there, and must not go on with theirs.
  absl::Status PutAsideLaterThan(int64_t step);

 private:
  absl::Status PutAside(int64_t step, const char* why);
  // A process that dies in it leaves the checkpoint whole, or none of its name.
  absl::Status Remove(int64_t step);

  FileSystem& files_;
  const std::string folder_;
  const CheckpointConfig config_;
};

// The steps that stay, of `steps` ascending. Pure.
std::vector<int64_t> StepsToKeep(const CheckpointConfig& config, const std::vector<int64_t>& steps,
                                 const LearnerState& learner);

}  // namespace routewright
