#include "common/config/config_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/config/config_loader.h"

namespace routewright {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

RunConfig Config() {
  RunConfig config;
  config.mutable_run()->set_name("before");
  config.mutable_policy()->set_path("policy");
  config.mutable_prompt()->set_template_path("prompt.txt");
  PoolModelConfig& model = *config.mutable_pool()->add_models();
  model.set_name("Atlas");
  model.set_base_url("http://127.0.0.1/v1");
  model.set_served_model("atlas");
  model.set_input_price(50000);
  model.set_output_price(200000);
  config.mutable_trainer()->set_steps(6);
  return config;
}

TEST(ConfigChangesTest, NamesEachSettingWithBothValues) {
  RunConfig now = Config();
  now.mutable_trainer()->set_steps(9);
  now.mutable_run()->set_seed(Config().run().seed() + 1);
  now.mutable_pool()->mutable_models(0)->set_input_price(60000);
  const auto changes = ConfigChanges(ConfigToYaml(Config()), now);
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_THAT(*changes,
              ::testing::UnorderedElementsAre("trainer.steps: 6 -> 9",
                                              absl::StrCat("run.seed: ", Config().run().seed(),
                                                           " -> ", Config().run().seed() + 1),
                                              "pool.models[0].input_price: 50000 -> 60000"));
}

TEST(ConfigChangesTest, ADefaultThatIsWrittenOutIsNoChange) {
  RunConfig now = Config();
  now.mutable_run()->set_seed(now.run().seed());
  EXPECT_THAT(ConfigChanges(ConfigToYaml(Config()), now).value(), ::testing::IsEmpty());
}

TEST(ConfigChangesTest, SaysWhatIsNewAndWhatIsGone) {
  RunConfig now = Config();
  *now.mutable_pool()->add_models() = now.pool().models(0);
  now.mutable_pool()->mutable_models(1)->set_name("Sage");
  EXPECT_THAT(ConfigChanges(ConfigToYaml(Config()), now).value(),
              Contains(AllOf(StartsWith("added: pool.models[1]"), HasSubstr("Sage"))));
  EXPECT_THAT(ConfigChanges(ConfigToYaml(now), Config()).value(),
              Contains(StartsWith("deleted: pool.models[1]")));
}

TEST(ConfigChangesTest, SettingsOfAnotherVersionAreAnError) {
  const auto changes = ConfigChanges("trainer:\n  steps_of_old: 3\n", Config());
  EXPECT_TRUE(absl::IsInvalidArgument(changes.status())) << changes.status();
}

}  // namespace
}  // namespace routewright
