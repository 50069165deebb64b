#include "common/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PosixFileSystemTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, std::string_view content) {
    auto file = files_.OpenForWrite(path);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->Append(content).ok());
    ASSERT_TRUE((*file)->Close().ok());
  }

  TempFolder folder_;
  FileSystem& files_ = FileSystem::Posix();
};

TEST_F(PosixFileSystemTest, ReadsBackWhatWasWritten) {
  const std::string content = std::string("a\0b\n", 4) + std::string(200000, 'x');
  Write(folder_ / "f", content);
  EXPECT_EQ(*files_.Read(folder_ / "f"), content);
}

TEST_F(PosixFileSystemTest, WritingTruncatesAndAppendingDoesNot) {
  Write(folder_ / "f", "a long line");
  Write(folder_ / "f", "one\n");
  auto file = files_.OpenForAppend(folder_ / "f");
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->Append("two\n").ok());
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_TRUE((*file)->Close().ok());
  EXPECT_TRUE((*file)->Close().ok());  // a second time does nothing
  EXPECT_EQ(*files_.Read(folder_ / "f"), "one\ntwo\n");
}

TEST_F(PosixFileSystemTest, TwoAppendersDoNotOverwriteEachOther) {
  auto a = files_.OpenForAppend(folder_ / "f");
  auto b = files_.OpenForAppend(folder_ / "f");
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_TRUE((*a)->Append("a1\n").ok());
  EXPECT_TRUE((*b)->Append("b1\n").ok());
  EXPECT_TRUE((*a)->Append("a2\n").ok());
  EXPECT_EQ(*files_.Read(folder_ / "f"), "a1\nb1\na2\n");
}

TEST_F(PosixFileSystemTest, FailuresNameOperationPathAndReason) {
  const std::string missing = folder_ / "no/such";
  const auto read = files_.Read(missing);
  EXPECT_TRUE(absl::IsNotFound(read.status()));
  EXPECT_EQ(read.status().message(), "cannot read " + missing + ": No such file or directory");
  EXPECT_THAT(std::string(files_.OpenForWrite(missing).status().message()), HasSubstr(missing));
  EXPECT_THAT(std::string(files_.Rename(missing, folder_ / "x").message()), HasSubstr("rename"));
  EXPECT_TRUE(absl::IsNotFound(files_.List(missing).status()));
  EXPECT_FALSE(files_.Read(folder_.path()).ok());  // a folder is not a file
}

TEST_F(PosixFileSystemTest, AFullDiskSaysSoAndWhatToDo) {
  auto full = files_.OpenForAppend("/dev/full");
  if (!full.ok()) GTEST_SKIP() << "no /dev/full here";
  const absl::Status status = (*full)->Append("x");
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("cannot write to /dev/full: No space left on device; free space there"));
}

// A file size limit makes the kernel write a part and then refuse the rest, as a
// disk does that fills up.
TEST_F(PosixFileSystemTest, ARecordThatFindsNoRoomIsTakenBackWhole) {
  Write(folder_ / "f", "one\n");
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit tight = before;
  tight.rlim_cur = 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  auto file = files_.OpenForAppend(folder_ / "f");
  const absl::Status too_long = (*file)->Append("a long record\n");
  const absl::Status short_enough = (*file)->Append("two\n");
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, signal_before);
  EXPECT_FALSE(too_long.ok());
  EXPECT_TRUE(short_enough.ok()) << short_enough;
  EXPECT_EQ(*files_.Read(folder_ / "f"), "one\ntwo\n");
}

TEST_F(PosixFileSystemTest, MakesFoldersListsThemSortedAndRemovesThem) {
  EXPECT_TRUE(files_.CreateFolders(folder_ / "a/b/c").ok());
  EXPECT_TRUE(files_.CreateFolders(folder_ / "a/b/c").ok());
  EXPECT_TRUE(files_.CreateFolders(folder_ / "a/b/d/").ok());
  EXPECT_TRUE(files_.CreateFolders("").ok());
  Write(folder_ / "a/b/a_file", "");
  EXPECT_THAT(*files_.List(folder_ / "a/b"), ElementsAre("a_file", "c", "d"));
  EXPECT_FALSE(files_.CreateFolders(folder_ / "a/b/a_file").ok());
  EXPECT_FALSE(files_.CreateFolders(folder_ / "a/b/a_file/x").ok());
  EXPECT_TRUE(files_.RemoveAll(folder_ / "a").ok());
  EXPECT_FALSE(files_.Exists(folder_ / "a"));
  EXPECT_TRUE(files_.RemoveAll(folder_ / "a").ok());  // nothing there: nothing to do
}

TEST_F(PosixFileSystemTest, WritesAtomicallyAndLeavesNothingAside) {
  EXPECT_TRUE(WriteFileAtomically(files_, folder_ / "f", "old").ok());
  EXPECT_TRUE(WriteFileAtomically(files_, folder_ / "f", "new").ok());
  EXPECT_EQ(*files_.Read(folder_ / "f"), "new");
  EXPECT_THAT(*files_.List(folder_.path()), ElementsAre("f"));
}

}  // namespace
}  // namespace routewright
