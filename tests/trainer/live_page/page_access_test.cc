#include "trainer/live_page/page_access.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

TEST(PageAccessTest, WithoutATokenAWebSitesNameIsRefusedAsHost) {
  const PageAccess access(Secret(), {"node7", "127.0.0.1"});
  for (const char* host : {"127.0.0.1:4711", "localhost:8080", "LOCALHOST", "[::1]:80", "[::1]",
                           "127.8.9.1", "10.1.2.3:80", "node7:4711", "NODE7"}) {
    EXPECT_TRUE(access.IsHostAllowed(host)) << host;
  }
  for (const char* host : {"evil.example", "evil.example:4711", "node7.evil.example", "", ":80",
                           "127.0.0.1.evil.example:4711", "localhost.evil.example", "[evil]:1",
                           "127.0.0.1:80@evil.example"}) {
    EXPECT_FALSE(access.IsHostAllowed(host)) << host;
  }
}

TEST(PageAccessTest, TheTokenOpensAndNothingElse) {
  const PageAccess access(Secret("0123456789abcdef"), {});
  EXPECT_TRUE(access.IsAuthorized("Bearer 0123456789abcdef"));
  EXPECT_TRUE(access.IsAuthorized("bearer 0123456789abcdef"));
  for (const char* header :
       {"", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef",
        "Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0",
        "Bearer  0123456789abcdef", "Bearer 0123456789abcdef0123456789abcdef"}) {
    EXPECT_FALSE(access.IsAuthorized(header)) << header;
  }
  EXPECT_TRUE(access.IsHostAllowed("node7.cluster.example")) << "a web site lacks the token";
}

TEST(PageAccessTest, WithoutATokenEveryoneMayRead) {
  EXPECT_TRUE(PageAccess(Secret(), {}).IsAuthorized(""));
  EXPECT_FALSE(PageAccess(Secret(), {}).has_token());
}

TEST(PageAccessTest, AShortTokenIsRefused) {
  EXPECT_TRUE(CheckToken(Secret()).ok());
  EXPECT_TRUE(CheckToken(Secret("0123456789abcdef")).ok());
  const absl::Status status = CheckToken(Secret("hunter2"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace routewright
