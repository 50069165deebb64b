// Writes the files of a checkpoint into its folder aside: each rank its tensors, and last its part
// of the manifest; rank 0 also the texts, and, once every part is there, the manifest. Every file
// is synced before a part or the manifest names it. One thread each.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/file_system.h"
#include "policy/model/model_config.h"
#include "proto/checkpoint.pb.h"
#include "trainer/checkpoint/state_share.h"

namespace routewright {

// The folders that the ranks write into, made by rank 0 before any of them begins.
absl::Status MakeCheckpointFolders(FileSystem& files, const std::string& folder,
                                   const std::vector<std::string>& models);

// One rank's tensors and its part. `state` is borrowed for the call; `is_given_up` is asked now and
// then. Fails: as the file layer does; kCancelled if it was given up.
absl::Status WriteRankFiles(FileSystem& files, const std::string& folder, const ModelConfig& config,
                            const StateShare& state, int rank, int num_ranks,
                            const std::function<bool()>& is_given_up);

// Rank 0's, after its own WriteRankFiles.
struct CheckpointTexts {
  CheckpointManifest manifest;               // all but files and checksum
  std::map<std::string, std::string> texts;  // name in the folder → content
};
// Waits for every rank's part, then writes texts and manifest. Fails as above; kDeadlineExceeded
// naming a rank whose part did not come.
absl::Status FinishCheckpointFolder(FileSystem& files, const std::string& folder,
                                    const CheckpointTexts& texts, absl::Duration deadline,
                                    const std::function<bool()>& is_given_up);

}  // namespace routewright
