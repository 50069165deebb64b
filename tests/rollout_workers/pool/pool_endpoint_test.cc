#include "rollout_workers/pool/pool_endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace routewright {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

PoolModelConfig Model(const std::string& base_url) {
  PoolModelConfig model;
  model.set_name("Sage");
  model.set_base_url(base_url);
  return model;
}

std::string Error(const PoolModelConfig& model) {
  const auto endpoint = ResolveEndpoint(model);
  EXPECT_FALSE(endpoint.ok());
  return std::string(endpoint.status().message());
}

TEST(PoolEndpointTest, ReplacesEnvironmentVariablesAndAppendsThePath) {
  setenv("RW_TEST_POOL", "http://127.0.0.1:8100", 1);
  const auto endpoint = ResolveEndpoint(Model("${RW_TEST_POOL}/v1/"));
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->base_url, "http://127.0.0.1:8100/v1");
  EXPECT_EQ(endpoint->call_url, "http://127.0.0.1:8100/v1/chat/completions");
  EXPECT_EQ(endpoint->served_model, "Sage");
  EXPECT_TRUE(endpoint->is_loopback);
  EXPECT_TRUE(endpoint->api_key.is_empty());
}

TEST(PoolEndpointTest, AnotherMachineIsNotLoopback) {
  PoolModelConfig model = Model("https://api.example.com/v1");
  model.set_served_model("sage-7b");
  EXPECT_FALSE(ResolveEndpoint(model)->is_loopback);
  EXPECT_EQ(ResolveEndpoint(model)->served_model, "sage-7b");
  EXPECT_TRUE(ResolveEndpoint(Model("http://localhost:1/v1"))->is_loopback);
  EXPECT_TRUE(ResolveEndpoint(Model("http://[::1]:1/v1"))->is_loopback);
}

TEST(PoolEndpointTest, ABadAddressIsRefusedWithoutShowingIt) {
  unsetenv("RW_TEST_UNSET");
  EXPECT_THAT(Error(Model("${RW_TEST_UNSET}/v1")), HasSubstr("RW_TEST_UNSET is not set"));
  EXPECT_THAT(Error(Model("${RW_TEST")), HasSubstr("without its }"));
  EXPECT_THAT(Error(Model("ftp://host/v1")), HasSubstr("http:// or https://"));
  EXPECT_THAT(Error(Model("http://")), HasSubstr("not a URL"));
  EXPECT_THAT(Error(Model("127.0.0.1:8100/v1")), HasSubstr("base_url"));
  for (const char* url :
       {"http://user:hidden@host/v1", "http://host/v1?key=hidden", "http://host/v1#hidden"}) {
    EXPECT_THAT(Error(Model(url)), HasSubstr("api_key_env"));
    EXPECT_THAT(Error(Model(url)), Not(HasSubstr("hidden")));
  }
}

TEST(PoolEndpointTest, KeysComeFromTheEnvironmentAndMustFitInAHeader) {
  PoolModelConfig model = Model("https://api.example.com/v1");
  model.set_api_key_env("RW_TEST_KEY");
  unsetenv("RW_TEST_KEY");
  EXPECT_THAT(Error(model), HasSubstr("RW_TEST_KEY"));
  setenv("RW_TEST_KEY", "sk-hidden-1", 1);
  EXPECT_EQ(ResolveEndpoint(model)->api_key.Reveal(), "sk-hidden-1");
  setenv("RW_TEST_KEY", "sk-hidden-1\r\nHost: evil", 1);
  EXPECT_THAT(Error(model), HasSubstr("control character"));
  EXPECT_THAT(Error(model), Not(HasSubstr("hidden")));
}

TEST(PoolEndpointTest, SecretsAreReplacedWhereverTheyStand) {
  EXPECT_EQ(Redacted("a sk-hidden-1 b sk-hidden-1", Secret("sk-hidden-1")), "a *** b ***");
  EXPECT_EQ(Redacted("EMPTY", Secret("EMPTY")), "EMPTY");
  EXPECT_EQ(Redacted("text", Secret()), "text");
}

}  // namespace
}  // namespace routewright
