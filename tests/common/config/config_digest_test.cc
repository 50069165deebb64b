#include "common/config/config_digest.h"

#include <gtest/gtest.h>

#include "common/config/config_loader.h"
#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

class ConfigDigestTest : public ::testing::Test {
 protected:
  ConfigDigestTest() { Write("prompt.txt", "{question}"); }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), folder_ / name, text).ok());
  }
  RunConfig Config() {
    RunConfig config;
    config.mutable_episode()->set_max_rounds(4);
    config.mutable_prompt()->set_template_path(folder_ / "prompt.txt");
    PoolModelConfig* model = config.mutable_pool()->add_models();
    model->set_name("Atlas");
    model->set_base_url("http://127.0.0.1:1/v1");
    return config;
  }
  uint64_t Digest(const RunConfig& config) { return WorkerConfigDigest(config).value(); }

  TempFolder folder_;
};

TEST_F(ConfigDigestTest, ChangesWithWhatAnEpisodeDependsOn) {
  RunConfig other = Config();
  other.mutable_episode()->set_max_rounds(3);
  EXPECT_NE(Digest(other), Digest(Config()));
  other = Config();
  other.mutable_pool()->mutable_models(0)->set_output_price(5);
  EXPECT_NE(Digest(other), Digest(Config()));
}

TEST_F(ConfigDigestTest, ChangesWithTheTextOfATemplateButNotWithWhereItLies) {
  RunConfig other = Config();
  Write("copy.txt", "{question}");
  other.mutable_prompt()->set_template_path(folder_ / "copy.txt");
  EXPECT_EQ(Digest(other), Digest(Config()));
  Write("copy.txt", "{question}?");
  EXPECT_NE(Digest(other), Digest(Config()));
  other = Config();
  other.mutable_prompt()->set_pool_template_path(folder_ / "copy.txt");
  EXPECT_NE(Digest(other), Digest(Config()));
  other.mutable_prompt()->set_pool_template_path(folder_ / "none.txt");
  EXPECT_EQ(WorkerConfigDigest(other).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ConfigDigestTest, DoesNotChangeWithWhatMayDifferFromHostToHost) {
  RunConfig other = Config();
  other.mutable_pool()->mutable_models(0)->set_base_url("http://127.0.0.1:2/v1");
  other.mutable_pool()->mutable_models(0)->set_api_key_env("KEY");
  other.mutable_worker()->set_threads(8);
  other.mutable_policy()->set_path("/elsewhere");
  EXPECT_EQ(Digest(other), Digest(Config()));
}

TEST_F(ConfigDigestTest, DoesNotChangeWhenDefaultsAreWrittenOut) {
  RunConfig resolved;
  ASSERT_TRUE(ParseConfigYaml(ConfigToYaml(Config()), "config.resolved.yaml", {}, resolved).ok());
  EXPECT_EQ(Digest(resolved), Digest(Config()));
}

}  // namespace
}  // namespace routewright
