#include "common/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/file_system.h"
#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST(LogTest, OneEventIsOneLineWithTimeLevelAndProcess) {
  ::testing::internal::CaptureStderr();
  LogInfo("step=", 12, " loss=", 0.5, std::string_view(" | done"));
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              MatchesRegex("[0-9-]+T[0-9:.]+Z I [a-z]+ step=12 loss=0.5 \\| done\n"));
}

TEST(LogTest, ControlCharactersAreEscaped) {
  ::testing::internal::CaptureStderr();
  LogWarning("a\nb\tc\x1b[31m\x7f \xc2\x9b", "é");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("a\\nb\\tc\\x1b[31m\\x7f \\x9bé\n"));
}

TEST(LogTest, QuietKeepsInfoOffStderrButNotOutOfTheFile) {
  TempFolder folder;
  ASSERT_TRUE(SetLogFile(folder / "logs/rank-0.log").ok());
  ::testing::internal::CaptureStderr();
  SetLogQuiet(true);
  LogInfo("hidden");
  LogError("shown");
  SetLogQuiet(false);
  const std::string seen = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(seen, Not(HasSubstr("hidden")));
  EXPECT_THAT(seen, HasSubstr(" E "));
  const std::string file = *FileSystem::Posix().Read(folder / "logs/rank-0.log");
  EXPECT_THAT(file, HasSubstr("hidden\n"));
  EXPECT_THAT(file, HasSubstr("shown\n"));
}

TEST(LogTest, AFileThatCannotBeMadeIsAnError) { EXPECT_FALSE(SetLogFile("/dev/null/x/log").ok()); }

}  // namespace
}  // namespace routewright
