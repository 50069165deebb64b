#include "trainer/checkpoint/checkpoint_saver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>

#include "tests/common/fault_file_system.h"
#include "tests/common/temp_folder.h"
#include "tests/trainer/checkpoint/test_checkpoint.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CheckpointSaverTest : public ::testing::Test {
 protected:
  absl::Status Save(int64_t step, FileSystem& files = FileSystem::Posix()) {
    return SaveTestCheckpoint(files, folder_, {.step = step});
  }
  CheckpointStore Store() { return CheckpointStore(FileSystem::Posix(), folder_, {}); }
  std::string Newest() { return Store().FolderOf(Store().Steps()->back()); }
  void ExpectNewestIs(int64_t step) {
    const auto reader = CheckpointReader::OpenWhole(FileSystem::Posix(), Newest());
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ((*reader)->manifest().step(), step);
    TestState(SmallestConfig(), {"policy"}, step).ExpectIn(**reader, 1000);
  }

  TempFolder temp_;
  const std::string folder_ = temp_.path() + "/checkpoints";
};

TEST_F(CheckpointSaverTest, AFaultAtAnyOperationLeavesTheOldStepOrTheNewOne) {
  for (const Fault fault : {Fault::kFails, Fault::kDiskFull, Fault::kKilled}) {
    for (const bool keeps_renames : {false, true}) {
      std::filesystem::remove_all(folder_);
      ASSERT_TRUE(Save(1).ok());
      int old_steps = 0, new_steps = 0;
      for (int n = 1;; ++n) {
        FaultFileSystem files;
        files.At(n, fault);
        const absl::Status status = Save(2, files);
        if (fault == Fault::kKilled) files.LosePower(keeps_renames);
        const int64_t step = Store().Steps()->back();
        ASSERT_NO_FATAL_FAILURE(ExpectNewestIs(step)) << "operation " << n;
        EXPECT_TRUE(!status.ok() || step == 2);
        (step == 1 ? old_steps : new_steps) += 1;
        std::filesystem::remove_all(Store().FolderOf(2));
        if (!files.has_struck()) break;  // n was past the last operation
      }
      EXPECT_GT(old_steps, 25);
      EXPECT_GT(new_steps, 0);
    }
  }
  EXPECT_TRUE(Save(2).ok());
}

TEST_F(CheckpointSaverTest, SaysWhichCheckpointWasNotSavedAndLeavesNothingAside) {
  FaultFileSystem files;
  files.At(/*n=*/10, Fault::kDiskFull);
  EXPECT_THAT(std::string(Save(7, files).message()),
              HasSubstr("the checkpoint of step 7 was not saved: No space left on device"));
  EXPECT_FALSE(std::filesystem::exists(Store().FolderAside(7)));
}

TEST_F(CheckpointSaverTest, TheNextSaveWaitsAndOldOnesArePruned) {
  const TestState state(SmallestConfig(), {"policy"}, 1);
  CheckpointSaver saver(
      {.files = &FileSystem::Posix(), .folder = folder_, .model = SmallestConfig()});
  for (int64_t step : {1, 2, 3, 4}) {
    ASSERT_TRUE(saver.Prepare(step, {"policy"}).ok());
    ASSERT_TRUE(saver.Start(step, state.Share(0, 1, step), MakeTexts({.step = step})).ok());
  }
  ASSERT_TRUE(saver.Wait().ok());
  EXPECT_TRUE(saver.IsIdle());
  EXPECT_THAT(Store().Steps().value(), ElementsAre(3, 4));
}

TEST_F(CheckpointSaverTest, ARankThatDoesNotWriteIsNamedAndNothingIsCommitted) {
  const TestState state(SmallestConfig(), {"policy"}, 1);
  CheckpointConfig config;
  config.set_write_deadline_s(0.05);
  CheckpointSaver saver({.files = &FileSystem::Posix(),
                         .folder = folder_,
                         .config = config,
                         .model = SmallestConfig(),
                         .rank = 0,
                         .num_ranks = 2});
  ASSERT_TRUE(saver.Prepare(1, {"policy"}).ok());
  ASSERT_TRUE(saver.Start(1, state.Share(0, 2, 1), MakeTexts({.step = 1, .num_ranks = 2})).ok());
  EXPECT_TRUE(saver.WaitForFiles().ok());
  const absl::Status status = saver.Wait();
  EXPECT_THAT(std::string(status.message()), HasSubstr("rank 1 did not write"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("write_deadline_s"));
  EXPECT_THAT(Store().Steps().value(), ElementsAre());
  EXPECT_EQ(saver.Start(2, state.Share(0, 2, 1), std::nullopt), status);
}

TEST_F(CheckpointSaverTest, GivingUpEndsTheWaitForOtherRanks) {
  const TestState state(SmallestConfig(), {"policy"}, 1);
  CheckpointSaver saver({.files = &FileSystem::Posix(),
                         .folder = folder_,
                         .model = SmallestConfig(),
                         .rank = 0,
                         .num_ranks = 2});
  ASSERT_TRUE(saver.Prepare(1, {"policy"}).ok());
  ASSERT_TRUE(saver.Start(1, state.Share(0, 2, 1), MakeTexts({.step = 1, .num_ranks = 2})).ok());
  ASSERT_TRUE(saver.WaitForFiles().ok());
  saver.GiveUp();
  EXPECT_EQ(saver.Wait().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace routewright
