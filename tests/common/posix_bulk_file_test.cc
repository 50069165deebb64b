#include "common/posix_bulk_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMebibyte = size_t{1} << 20;

std::string Content(size_t size) {
  std::string content(size, '\0');
  for (size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 2654435761u >> 13);
  return content;
}

absl::Status Write(const std::string& path, std::string_view content, size_t piece) {
  auto file = OpenPosixBulkFile(path);
  if (!file.ok()) return file.status();
  for (; !content.empty(); content.remove_prefix(std::min(piece, content.size()))) {
    const absl::Status status = (*file)->Append(content.substr(0, piece));
    if (!status.ok()) return status;
  }
  absl::Status status = (*file)->Sync();
  status.Update((*file)->Close());
  return status;
}

TEST(PosixBulkFileTest, EveryByteArrivesWhateverTheSizesAre) {
  const TempFolder on_disk;
  for (const std::string& path :
       {on_disk / "file", std::string("/dev/shm/routewright_bulk_file")}) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{4095}, size_t{4096}, 8 * kMebibyte - 1,
                              8 * kMebibyte, 8 * kMebibyte + 1, 24 * kMebibyte + 4096 + 3}) {
      for (const size_t piece : {size_t{1000003}, 9 * kMebibyte}) {
        const std::string content = Content(size);
        const absl::Status status = Write(path, content, piece);
        ASSERT_TRUE(status.ok()) << status;
        ASSERT_TRUE(*FileSystem::Posix().Read(path) == content) << path << " of " << size;
      }
    }
    ASSERT_TRUE(FileSystem::Posix().RemoveAll(path).ok());
  }
}

TEST(PosixBulkFileTest, ItTruncatesAndClosingWritesWhatWasNotSynced) {
  const TempFolder folder;
  ASSERT_TRUE(Write(folder / "file", Content(100000), 100000).ok());
  auto file = OpenPosixBulkFile(folder / "file");
  ASSERT_TRUE((*file)->Append("short").ok());
  EXPECT_TRUE((*file)->Close().ok());
  EXPECT_TRUE((*file)->Close().ok());  // a second time does nothing
  EXPECT_EQ(*FileSystem::Posix().Read(folder / "file"), "short");
}

TEST(PosixBulkFileTest, MoreMayFollowASync) {
  const TempFolder folder;
  const std::string content = Content(30 * kMebibyte);
  auto file = OpenPosixBulkFile(folder / "file");
  ASSERT_TRUE((*file)->Append(content.substr(0, 9 * kMebibyte + 5)).ok());
  ASSERT_TRUE((*file)->Sync().ok());
  ASSERT_TRUE((*file)->Append(content.substr(9 * kMebibyte + 5)).ok());
  ASSERT_TRUE((*file)->Close().ok());
  EXPECT_TRUE(*FileSystem::Posix().Read(folder / "file") == content);
}

TEST(PosixBulkFileTest, AFileThatIsDroppedMidwayEndsItsThread) {
  const TempFolder folder;
  auto file = OpenPosixBulkFile(folder / "file");
  ASSERT_TRUE((*file)->Append(Content(9 * kMebibyte)).ok());
  file->reset();
}

TEST(PosixBulkFileTest, AFullDiskIsNamedByALaterCall) {
  if (!FileSystem::Posix().Exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  for (const size_t size : {size_t{5}, 40 * kMebibyte}) {
    const std::string message(Write("/dev/full", Content(size), kMebibyte).message());
    EXPECT_THAT(message, HasSubstr("cannot write to /dev/full"));
    EXPECT_THAT(message, HasSubstr("free space"));
  }
}

TEST(PosixBulkFileTest, AFolderThatIsMissingIsNamed) {
  EXPECT_THAT(std::string(OpenPosixBulkFile("/nonexistent/file").status().message()),
              HasSubstr("/nonexistent/file"));
}

}  // namespace
}  // namespace routewright
