#include "common/secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

class SecretTest : public ::testing::Test {
 protected:
  std::string KeyFile(const std::string& content, mode_t mode) {
    const std::string path = folder_ / "key";
    std::ofstream(path) << content;
    chmod(path.c_str(), mode);
    return path;
  }
  TempFolder folder_;
};

TEST_F(SecretTest, NeverPrintsItsValue) {
  std::ostringstream out;
  out << Secret("hunter2");
  EXPECT_EQ(out.str(), "***");
}

TEST_F(SecretTest, ComesFromTheNamedVariable) {
  setenv("ROUTEWRIGHT_TEST_KEY", "k1", 1);
  EXPECT_EQ(LoadSecret("ROUTEWRIGHT_TEST_KEY", "")->Reveal(), "k1");
  unsetenv("ROUTEWRIGHT_TEST_KEY");
  const auto missing = LoadSecret("ROUTEWRIGHT_TEST_KEY", "");
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("ROUTEWRIGHT_TEST_KEY"));
}

TEST_F(SecretTest, ComesFromAFileThatOnlyItsOwnerCanRead) {
  EXPECT_EQ(LoadSecret("", KeyFile("k2\n", 0600))->Reveal(), "k2");
  const auto open = LoadSecret("", KeyFile("k2\n", 0640));
  EXPECT_TRUE(absl::IsPermissionDenied(open.status()));
  EXPECT_THAT(std::string(open.status().message()), HasSubstr("chmod 600"));
  EXPECT_TRUE(absl::IsNotFound(LoadSecret("", folder_ / "none").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(LoadSecret("", KeyFile("\n", 0600)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(LoadSecret("", folder_.path()).status()));
}

TEST_F(SecretTest, IsEmptyWhenNothingIsNamed) { EXPECT_TRUE(LoadSecret("", "")->is_empty()); }

TEST_F(SecretTest, AuthorizesItselfAlone) {
  const Secret token("abcdef");
  EXPECT_TRUE(IsAuthorizedBy(token, BearerAuthorization(token)));
  EXPECT_TRUE(IsAuthorizedBy(token, "bearer abcdef"));
  for (const char* other :
       {"", "Bearer", "Bearer ", "abcdef", "Basic abcdef", "Bearer a", "Bearer abcde",
        "Bearer abcdeF", "Bearer abcdefg", "Bearer abcdefabcdef", "Bearer bbcdef", "Bearer  abcdef",
        "Bearer abcdef "}) {
    EXPECT_FALSE(IsAuthorizedBy(token, other)) << other;
  }
  EXPECT_FALSE(IsAuthorizedBy(Secret(), "Bearer ")) << "no secret opens nothing";
}

TEST_F(SecretTest, ErrorsSayWhatIsMissing) {
  const absl::Status status = LoadSecret("NO_SUCH_VARIABLE", "", "live page's token").status();
  EXPECT_NE(status.message().find("NO_SUCH_VARIABLE, which should hold the live page's token"),
            std::string::npos);
}

}  // namespace
}  // namespace routewright
