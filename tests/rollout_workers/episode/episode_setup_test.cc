#include "rollout_workers/episode/episode_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/tokenizer/chat_template.h"

namespace routewright {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kPolicy[] = "data/quickstart/policy";

RunConfig Config(PolicyConfig::ChatTemplate chat_template) {
  RunConfig config;
  config.mutable_policy()->set_chat_template(chat_template);
  config.mutable_prompt()->set_template_path("configs/router_prompt.txt");
  config.mutable_episode()->set_max_sequence_tokens(1024);
  PoolModelConfig* model = config.mutable_pool()->add_models();
  model->set_name("Atlas");
  model->set_description("knows capitals");
  return config;
}

// The prompt to "Why?", as text.
std::string PromptText(PolicyConfig::ChatTemplate chat_template) {
  const auto setup = EpisodeSetup::Load(Config(chat_template), kPolicy);
  EXPECT_TRUE(setup.ok()) << setup.status();
  if (!setup.ok()) return "";
  return (*setup)->tokenizer().Decode((*setup)->context().prompt->Tokens("Why?"));
}

TEST(EpisodeSetupTest, ThePromptIsOneUserMessageInTheChatFormThatThePolicyGoesOnFrom) {
  const std::string message = PromptText(PolicyConfig::CHAT_TEMPLATE_PLAIN);
  EXPECT_THAT(message, StartsWith("Answer the question"));
  EXPECT_THAT(message, EndsWith("- Atlas: knows capitals ($0.00 per 1M output tokens)\n\n"
                                "Question: Why?\n"));
  EXPECT_EQ(PromptText(PolicyConfig::CHAT_TEMPLATE_CHATML),
            "<|im_start|>user\n" + message + "<|im_end|>\n<|im_start|>assistant\n");
  const auto llama3 = ChatTemplate::Load(PolicyConfig::CHAT_TEMPLATE_LLAMA3, kPolicy);
  ASSERT_TRUE(llama3.ok()) << llama3.status();
  EXPECT_EQ(PromptText(PolicyConfig::CHAT_TEMPLATE_LLAMA3), llama3->Apply(message));
}

TEST(EpisodeSetupTest, SequencesLongerThanThePolicysPositionsAreRefused) {
  RunConfig config = Config(PolicyConfig::CHAT_TEMPLATE_PLAIN);
  config.mutable_episode()->set_max_sequence_tokens(1025);
  EXPECT_THAT(std::string(EpisodeSetup::Load(config, kPolicy).status().message()),
              HasSubstr("1025 is more than the 1024 positions"));
}

TEST(EpisodeSetupTest, WhatIsMissingIsNamed) {
  RunConfig config = Config(PolicyConfig::CHAT_TEMPLATE_PLAIN);
  EXPECT_THAT(std::string(EpisodeSetup::Load(config, "/none").status().message()),
              HasSubstr("/none"));
  config.clear_pool();
  EXPECT_THAT(std::string(EpisodeSetup::Load(config, kPolicy).status().message()),
              HasSubstr("pool.models"));
}

}  // namespace
}  // namespace routewright
