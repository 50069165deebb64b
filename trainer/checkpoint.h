// A run's checkpoints: everything that the next step depends on, committed atomically and checked
// byte by byte before it is used. trainer/README.md shows the folder. One thread, rank 0.
//
//   <run>/checkpoints/.step-000123.partial/   written aside, every file synced, manifest.json last
//   … <run>/checkpoints/step-000123/            … then renamed, and the parent synced
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "policy/model_config.h"
#include "proto/checkpoint.pb.h"
#include "trainer/model_state.h"

namespace switchyard {

// What is saved.
struct CheckpointContents {
  int64_t step = 0;  // optimizer steps done
  int64_t policy_version = 0;
  int num_ranks = 1;
  std::string code_version;  // of the program that makes it
  LearnerState learner;
  UpdateState models;
  ModelConfig config;
  // Whose tokenizer files are copied, so that <checkpoint>/policy can be run.
  std::string policy_folder;
  std::string config_yaml;  // the resolved config
};

struct LoadedCheckpoint {
  std::string folder;
  CheckpointManifest manifest;
  UpdateState models;
  ModelConfig config;
};

class CheckpointStore {
 public:
  // `folder` is <run>/checkpoints; `files` must outlive the store.
  CheckpointStore(FileSystem& files, std::string folder, int keep_last);

  // Returns once the checkpoint would survive a power cut; then removes all but the newest
  // keep_last. Fails as the file layer does, naming path and reason; what was there before is
  // untouched.
  absl::Status Save(const CheckpointContents& contents);

  // The newest whole checkpoint. A damaged one is logged with file and tensor, renamed to
  // damaged-step-…, and the one before it is tried. nullopt if there is none at all. Fails:
  // kDataLoss if there are some and all are damaged.
  absl::StatusOr<std::optional<LoadedCheckpoint>> LoadNewest();

  // One checkpoint, from any run. Fails: kNotFound; kDataLoss naming the file and, where it is one
  // tensor's fault, the tensor that is damaged.
  static absl::StatusOr<LoadedCheckpoint> Load(FileSystem& files, const std::string& folder);

  // Renames the checkpoints of later steps to abandoned-step-…: a run that goes back to `step`
  // takes another way from there, and must not go on with theirs.
  absl::Status PutAsideLaterThan(int64_t step);
  // One file of a checkpoint against its manifest's line. Fails: kDataLoss naming file and tensor.
  static absl::Status CheckFile(const std::string& folder, const CheckpointFile& expected);

  // Steps of the checkpoints that are there, ascending.
  absl::StatusOr<std::vector<int64_t>> Steps() const;
  std::string FolderOf(int64_t step) const;

 private:
  absl::Status Prune();
  absl::Status PutAside(int64_t step, const char* why);

  FileSystem& files_;
  const std::string folder_;
  const int keep_last_;
};

}  // namespace switchyard
