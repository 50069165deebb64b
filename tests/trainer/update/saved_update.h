// A checkpoint of a PolicyUpdate on one rank, as a run of one rank would write it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/file_system.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/checkpoint_saver.h"
#include "trainer/update/host_copy.h"
#include "trainer/update/policy_update.h"

namespace routewright {

inline std::unique_ptr<CheckpointReader> SaveAndOpen(const PolicyUpdate& update,
                                                     const ModelConfig& model,
                                                     const std::string& folder, int64_t step = 1) {
  HostCopy copy(HostCopy::Mode::kCopy);
  CheckpointSaver saver({.files = &FileSystem::Posix(), .folder = folder, .model = model});
  EXPECT_TRUE(saver.Prepare(step, update.SavedModels()).ok());
  CheckpointTexts texts;
  texts.manifest.set_step(step);
  texts.manifest.set_num_ranks(1);
  texts.texts["policy/config.json"] = ModelConfigToJson(model, "float32");
  EXPECT_TRUE(saver.Start(step, update.Share(copy), texts).ok());
  EXPECT_TRUE(saver.Wait().ok());
  const CheckpointStore store(FileSystem::Posix(), folder, {});
  return CheckpointReader::OpenWhole(FileSystem::Posix(), store.FolderOf(step)).value();
}

}  // namespace routewright
