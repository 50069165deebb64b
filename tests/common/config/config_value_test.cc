#include "common/config/config_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/config.pb.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

RunConfig Config() {
  RunConfig config;
  config.mutable_run()->set_name("a \"b\"");
  config.mutable_trainer()->mutable_rollout_service()->set_listen_address("0.0.0.0:7");
  config.mutable_trainer()->add_trace_steps(3);
  config.mutable_trainer()->add_trace_steps(5);
  config.mutable_pool()->add_models()->set_name("Atlas");
  return config;
}

std::string Value(const std::string& key) { return ConfigValue(Config(), key).value(); }
std::string Error(const std::string& key) {
  return std::string(ConfigValue(Config(), key).status().message());
}

TEST(ConfigValueTest, GivesWhatIsSetOrTheDefault) {
  EXPECT_EQ(Value("run.name"), "a \"b\"");
  EXPECT_EQ(Value("trainer.rollout_service.listen_address"), "0.0.0.0:7");
  EXPECT_EQ(Value("trainer.live_page.listen_address"), "127.0.0.1:0");
  EXPECT_EQ(Value("trainer.algorithm"), "grpo");
  EXPECT_EQ(Value("trainer.tensorboard"), "true");
  EXPECT_EQ(Value("trainer.live_page.token_env"), "");
}

TEST(ConfigValueTest, ListsComeALineEachOrByIndex) {
  EXPECT_EQ(Value("trainer.trace_steps"), "3\n5");
  EXPECT_EQ(Value("trainer.trace_steps.1"), "5");
  EXPECT_EQ(Value("pool.models.0.name"), "Atlas");
  EXPECT_EQ(Value("data.demonstrations"), "");
}

TEST(ConfigValueTest, SaysWhatIsWrongWithAKey) {
  EXPECT_THAT(Error("run.nme"), HasSubstr("no key 'run.nme'; did you mean name?"));
  EXPECT_THAT(Error(""), HasSubstr("no key ''"));
  EXPECT_THAT(Error("run"), HasSubstr("'run' is a section"));
  EXPECT_THAT(Error("run.name.x"), HasSubstr("name has no keys"));
  EXPECT_THAT(Error("pool.models.1.name"), HasSubstr("the list has 1"));
  EXPECT_THAT(Error("pool.models.first.name"), HasSubstr("no item 'first'"));
}

}  // namespace
}  // namespace routewright
