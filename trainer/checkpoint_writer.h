// Writes a checkpoint's files into a folder, each synced and entered into the manifest. One thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/file_system.h"
#include "policy/parameter_layout.h"
#include "proto/checkpoint.pb.h"
#include "trainer/checkpoint.h"

namespace switchyard {

// How a model of UpdateState lies in blocks.
ParameterLayout LayoutOfModel(const std::string& name, const ModelConfig& config);

// Fills `folder` (made here) with every file, manifest.json last. Fails as the file layer does.
absl::Status WriteCheckpointFolder(FileSystem& files, const std::string& folder,
                                   const CheckpointContents& contents);

}  // namespace switchyard
