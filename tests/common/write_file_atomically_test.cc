// WriteFileAtomically at every point where a disk, a process or a machine can stop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/file_system.h"
#include "tests/common/fault_file_system.h"
#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kMostOperations = 20;
const std::string kNew(1000, 'n');

class WriteFileAtomicallyTest : public ::testing::Test {
 protected:
  FileSystem& disk() { return FileSystem::Posix(); }
  std::string ContentOf(const std::string& path) { return disk().Read(path).value_or("(no file)"); }
  void SetUp() override { ASSERT_TRUE(WriteFileAtomically(disk(), path_, "old").ok()); }

  // Writes kNew with the fault at the n-th operation, for every n there is.
  template <typename Check>
  void AtEveryOperation(Fault fault, Check check) {
    for (int n = 1; n <= kMostOperations; ++n) {
      SetUp();
      FaultFileSystem files;
      files.At(n, fault);
      const absl::Status status = WriteFileAtomically(files, path_, kNew);
      SCOPED_TRACE(n);
      check(files, status);
      if (files.has_struck()) continue;
      EXPECT_GT(n, 6);  // open, write, sync, close, rename, sync folder
      return;
    }
    FAIL() << "more operations than expected";
  }

  TempFolder folder_;
  const std::string path_ = folder_ / "f";
};

TEST_F(WriteFileAtomicallyTest, AFailureIsReportedAndLeavesTheOldContentOrTheNew) {
  AtEveryOperation(Fault::kFails, [&](FaultFileSystem& files, const absl::Status& status) {
    EXPECT_EQ(status.ok(), !files.has_struck());
    const std::string content = ContentOf(path_);
    EXPECT_THAT(content, AnyOf("old", kNew));
    EXPECT_TRUE(!status.ok() || content == kNew);
    EXPECT_THAT(*disk().List(folder_.path()), ElementsAre("f"));  // nothing is left aside
  });
}

TEST_F(WriteFileAtomicallyTest, AFullDiskKeepsTheOldContentAndLeavesNothingAside) {
  FaultFileSystem files;
  files.At(1, Fault::kDiskFull);
  const absl::Status status = WriteFileAtomically(files, path_, kNew);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_EQ(ContentOf(path_), "old");
  EXPECT_THAT(*disk().List(folder_.path()), ElementsAre("f"));
}

TEST_F(WriteFileAtomicallyTest, AKilledProcessLeavesTheOldContentOrTheNew) {
  AtEveryOperation(Fault::kKilled, [&](FaultFileSystem&, const absl::Status&) {
    EXPECT_THAT(ContentOf(path_), AnyOf("old", kNew));
  });
}

TEST_F(WriteFileAtomicallyTest, LostPowerLeavesTheOldContentOrTheNewWhole) {
  for (bool keeps_renames : {false, true}) {
    AtEveryOperation(Fault::kKilled, [&](FaultFileSystem& files, const absl::Status& status) {
      files.LosePower(keeps_renames);
      const std::string content = ContentOf(path_);
      EXPECT_THAT(content, AnyOf("old", kNew));
      EXPECT_TRUE(!status.ok() || content == kNew);  // what was reported as written stays written
    });
  }
}

TEST_F(WriteFileAtomicallyTest, TheNextWriteCleansUpAfterAKilledOne) {
  FaultFileSystem files;
  files.At(2, Fault::kKilled);
  EXPECT_FALSE(WriteFileAtomically(files, path_, kNew).ok());
  EXPECT_THAT(*disk().List(folder_.path()), ElementsAre("f", "f.tmp"));
  EXPECT_TRUE(WriteFileAtomically(disk(), path_, "newer").ok());
  EXPECT_EQ(ContentOf(path_), "newer");
  EXPECT_THAT(*disk().List(folder_.path()), ElementsAre("f"));
}

// The fault layer itself must catch what WriteFileAtomically is careful about.
class FaultFileSystemTest : public WriteFileAtomicallyTest {};

TEST_F(FaultFileSystemTest, UnsyncedBytesAreLostWithThePower) {
  FaultFileSystem files;
  {
    auto file = *files.OpenForWrite(path_);
    ASSERT_TRUE(file->Append("x").ok());
    ASSERT_TRUE(file->Close().ok());
  }
  ASSERT_TRUE(files.Rename(path_, folder_ / "g").ok());
  ASSERT_TRUE(files.SyncFolder(folder_.path()).ok());
  files.LosePower(/*keeps_renames=*/false);
  EXPECT_THAT(ContentOf(folder_ / "g"),
              IsEmpty());  // renamed for good, but its bytes were not synced
}

TEST_F(FaultFileSystemTest, ARenameMayBeUndoneUntilItsFolderIsSynced) {
  ASSERT_TRUE(WriteFileAtomically(disk(), folder_ / "g", "gg").ok());
  FaultFileSystem files;
  ASSERT_TRUE(files.Rename(folder_ / "g", path_).ok());
  files.LosePower(/*keeps_renames=*/false);
  EXPECT_EQ(ContentOf(path_), "old");
  EXPECT_EQ(ContentOf(folder_ / "g"), "gg");
  ASSERT_TRUE(files.Rename(folder_ / "g", path_).ok());
  ASSERT_TRUE(files.SyncFolder(folder_.path()).ok());
  files.LosePower(/*keeps_renames=*/false);
  EXPECT_EQ(ContentOf(path_), "gg");
}

TEST_F(FaultFileSystemTest, AnAppendKeepsWhatWasSyncedBefore) {
  FaultFileSystem files;
  auto file = *files.OpenForAppend(path_);
  ASSERT_TRUE(file->Append("+").ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(file->Append("-").ok());
  EXPECT_EQ(ContentOf(path_), "old+-");
  files.LosePower(true);
  EXPECT_EQ(ContentOf(path_), "old+");
}

}  // namespace
}  // namespace routewright
