// Writes a checkpoint's files into a folder, each synced and entered into the manifest. One thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/file_system.h"
#include "proto/checkpoint.pb.h"
#include "trainer/checkpoint.h"

namespace switchyard {

// Fills `folder` (made here) with every file, manifest.json last. Fails as the file layer does.
absl::Status WriteCheckpointFolder(FileSystem& files, const std::string& folder,
                                   const CheckpointContents& contents);

}  // namespace switchyard
