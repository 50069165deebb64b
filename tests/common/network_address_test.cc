#include "common/network_address.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

TEST(NetworkAddressTest, HostAndPortAreToldApart) {
  EXPECT_EQ(ParseNetworkAddress("127.0.0.1:0")->port, 0);
  EXPECT_EQ(ParseNetworkAddress("[::1]:8080")->host, "[::1]");
  EXPECT_EQ(ParseNetworkAddress("node7.example:65535")->port, 65535);
  for (const char* bad :
       {"", "localhost", ":80", "h:", "h:x", "h:65536", "h:-1", "h: 80", "h:80x"}) {
    EXPECT_FALSE(ParseNetworkAddress(bad).has_value()) << bad;
  }
}

TEST(NetworkAddressTest, OnlyLoopbackIsLoopback) {
  for (const char* host : {"127.0.0.1", "127.1.2.3", "localhost", "LocalHost", "::1", "[::1]"}) {
    EXPECT_TRUE(IsLoopbackHost(host)) << host;
  }
  for (const char* host :
       {"0.0.0.0", "[::]", "::", "10.0.0.1", "127.0.0.1.example", "localhost.example", "127",
        "128.0.0.1", "", "[::ffff:10.0.0.1]", "node7"}) {
    EXPECT_FALSE(IsLoopbackHost(host)) << host;
  }
  EXPECT_TRUE(IsLoopbackAddress("[::1]:80"));
  EXPECT_FALSE(IsLoopbackAddress("127.0.0.1")) << "no port";
}

}  // namespace
}  // namespace routewright
