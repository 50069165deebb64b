#include "common/config_digest.h"

#include <gtest/gtest.h>

#include "common/config_loader.h"

namespace switchyard {
namespace {

RunConfig Config() {
  RunConfig config;
  config.mutable_episode()->set_max_rounds(4);
  config.mutable_prompt()->set_template_path("configs/prompt.txt");
  PoolModelConfig* model = config.mutable_pool()->add_models();
  model->set_name("Atlas");
  model->set_base_url("http://127.0.0.1:1/v1");
  return config;
}

TEST(ConfigDigestTest, ChangesWithWhatAnEpisodeDependsOn) {
  RunConfig other = Config();
  other.mutable_episode()->set_max_rounds(3);
  EXPECT_NE(WorkerConfigDigest(other), WorkerConfigDigest(Config()));
  other = Config();
  other.mutable_pool()->mutable_models(0)->set_output_price(5);
  EXPECT_NE(WorkerConfigDigest(other), WorkerConfigDigest(Config()));
}

TEST(ConfigDigestTest, DoesNotChangeWithWhatMayDifferFromHostToHost) {
  RunConfig other = Config();
  other.mutable_pool()->mutable_models(0)->set_base_url("http://127.0.0.1:2/v1");
  other.mutable_pool()->mutable_models(0)->set_api_key_env("KEY");
  other.mutable_worker()->set_threads(8);
  other.mutable_policy()->set_path("/elsewhere");
  EXPECT_EQ(WorkerConfigDigest(other), WorkerConfigDigest(Config()));
}

TEST(ConfigDigestTest, DoesNotChangeWhenDefaultsAreWrittenOut) {
  RunConfig resolved;
  ASSERT_TRUE(ParseConfigYaml(ConfigToYaml(Config()), "config.resolved.yaml", {}, resolved).ok());
  EXPECT_EQ(WorkerConfigDigest(resolved), WorkerConfigDigest(Config()));
}

}  // namespace
}  // namespace switchyard
