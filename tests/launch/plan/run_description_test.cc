// The plan that `train --dry-run` prints: its metrics against a count by hand, and what it says
// about fitting against plans of what it names. No weights are needed, and no such device.
#include "launch/plan/run_description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/config/config_loader.h"
#include "policy/model/model_config.h"
#include "tests/common/temp_folder.h"
#include "tests/launch/plan/planned_models.h"

namespace routewright {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RunDescriptionTest : public ::testing::Test {
 protected:
  RunDescriptionTest() {
    std::ofstream(temp_ / "train.jsonl") << R"({"id":"a","question":"q","golden_answers":["a"]})"
                                         << "\n";
    config_.mutable_policy()->set_path(temp_.path());
    config_.mutable_data()->add_train()->set_path(temp_ / "train.jsonl");
  }

  void SetModel(const ModelConfig& model) {
    std::ofstream(temp_ / "config.json") << ModelConfigToJson(model, "bfloat16");
  }

  // Four episodes of 8 tokens.
  void SetTinyRun() {
    SetModel(CountedModel());
    config_.mutable_episode()->set_max_sequence_tokens(8);
    config_.mutable_trainer()->set_questions_per_step(2);
    config_.mutable_trainer()->set_episodes_per_question(2);
    config_.mutable_trainer()->set_max_micro_batch_tokens(16);
  }

  // GRPO in bf16 with a reference policy, 8,192 tokens at once.
  void SetQwen3Billion() {
    SetModel(Qwen3BModel());
    config_.mutable_policy()->set_compute_type(PolicyConfig::ELEMENT_TYPE_BF16);
    config_.mutable_trainer()->mutable_loss()->set_kl_coefficient(0.01);
  }

  std::string Describe(const PlannedMachine& machine) const {
    return DescribeRun(config_, machine).value();
  }
  static PlannedMachine Host(int ranks, const std::string& device) {
    return {.ranks = ranks, .ranks_per_host = ranks, .device = device};
  }
  // The first group of `pattern` in the text; "" and a failure without it.
  static std::string Find(const std::string& text, const std::string& pattern) {
    std::smatch match;
    const bool is_found = std::regex_search(text, match, std::regex(pattern));
    EXPECT_TRUE(is_found) << pattern << " in\n" << text;
    return is_found ? match[1].str() : "";
  }

  const TempFolder temp_;
  RunConfig config_;
};

TEST_F(RunDescriptionTest, ParametersAreThoseCountedByHand) {
  SetTinyRun();
  const PlannedMachine machine{.device = "cpu", .ceiling_tflops = 0.001};
  EXPECT_EQ(2 * (120 + 8) + 40 + 4, 300);
  EXPECT_THAT(Describe(machine), HasSubstr("2 layers, width 4, vocabulary 10: 300 parameters\n"));
  config_.mutable_trainer()->set_algorithm(TrainerConfig::ALGORITHM_PPO);
  EXPECT_THAT(Describe(machine), HasSubstr("300 parameters, and a critic of the same size\n"));
  SetQwen3Billion();  // 3.09 B, as published
  EXPECT_THAT(Describe(Host(1, "h100")), HasSubstr("3085938688 parameters"));
}

// Per token, with 4 of 8 keys on average: a forward is 2·240 of matrices and 2·2·2·2·2·4 of
// attention; a forward and a backward three times that, and the scores again; the head forward,
// forward again and twice backward 8·40.
TEST_F(RunDescriptionTest, FlopsAreThoseCountedByHand) {
  SetTinyRun();
  constexpr int kForward = 2 * 240 + 128, kUpdate = 3 * kForward + 64, kHead = 8 * 40;
  constexpr int kModel = 3 * (kForward + 2 * 40);  // as MFU counts them
  static_assert(32 * (kUpdate + kHead) == 70656 && 32 * kModel == 66048 && 32 * kHead == 10240);
  const PlannedMachine machine{.device = "cpu", .ceiling_tflops = 0.001};
  EXPECT_THAT(
      Describe(machine),
      AllOf(HasSubstr("at most 4 x 8 tokens = 32 tokens"), HasSubstr("70.7 kFLOP over all ranks"),
            HasSubstr("66 kFLOP of forward and backward"), HasSubstr("against 1 GFLOP/s a rank")));
  config_.mutable_policy()->set_compute_type(PolicyConfig::ELEMENT_TYPE_BF16);
  EXPECT_THAT(Describe(Host(1, "h100")),
              HasSubstr("70.7 kFLOP over all ranks, 10.2 kFLOP of it the head's, in f32"));
}

TEST_F(RunDescriptionTest, EachDeviceIsNamedWithItsMemoryAndDatasheet) {
  SetQwen3Billion();
  const struct {
    const char *device, *memory, *peak;
  } datasheets[] = {{"H100", "80.00 GiB", "989 TFLOP/s"},
                    {"H200", "131.32 GiB", "989 TFLOP/s"},
                    {"A100", "80.00 GiB", "312 TFLOP/s"}};
  for (const auto& [device, memory, peak] : datasheets) {
    EXPECT_THAT(Describe(Host(1, absl::AsciiStrToLower(device))),
                AllOf(HasSubstr(absl::StrCat("(", device, ": ", memory, ", of which 6.00 GiB")),
                      HasSubstr(absl::StrCat("of the ", device, "'s datasheet) assumed")),
                      HasSubstr(absl::StrCat("against ", peak, " a rank"))));
  }
}

// One token more would not.
TEST_F(RunDescriptionTest, WhatFitsSaysHowManyTokensWould) {
  SetQwen3Billion();
  config_.mutable_trainer()->set_recompute_activations(true);
  for (const char* device : {"h100", "h200", "a100"}) {
    config_.mutable_trainer()->set_max_micro_batch_tokens(4096);
    const int most = std::stoi(
        Find(Describe(Host(1, device)), R"(# it fits \([^)]*\); at most (\d+) tokens at once)"));
    EXPECT_GE(most, 4096);
    config_.mutable_trainer()->set_max_micro_batch_tokens(most);
    EXPECT_THAT(
        Describe(Host(1, device)),
        AllOf(HasSubstr("# it fits"), HasSubstr(absl::StrCat("at most ", most, " tokens"))));
    config_.mutable_trainer()->set_max_micro_batch_tokens(most + 1);
    EXPECT_THAT(Describe(Host(1, device)), HasSubstr("# it does not fit"));
  }
}

// As the config says it; on the ranks that are planned.
TEST_F(RunDescriptionTest, WhatDoesNotFitNamesAChangeWithWhichItDoes) {
  SetQwen3Billion();
  RunConfig before = config_;
  for (const int ranks : {1, 2, 8}) {
    for (const int sequence_tokens : {1024, 8192}) {
      before.mutable_episode()->set_max_sequence_tokens(sequence_tokens);
      config_ = before;
      const std::string changes = Find(Describe(Host(ranks, "h100")),
                                       "# it does not fit [^\n]*\n# the cheapest change that fits:"
                                       "((?: --set \\S+=[a-z0-9]+)+), which takes");
      std::vector<std::string> overrides = absl::StrSplit(changes, " --set ", absl::SkipEmpty());
      ASSERT_FALSE(overrides.empty());
      config_.Clear();
      ASSERT_TRUE(ParseConfigYaml(ConfigToYaml(before), "before", overrides, config_).ok());
      EXPECT_THAT(Describe(Host(ranks, "h100")),
                  AllOf(HasSubstr("# it fits"), Not(HasSubstr("cheapest change"))))
          << ranks << " ranks, " << changes;
    }
  }
}

TEST_F(RunDescriptionTest, WhatNoChangeMakesFitIsSaidSo) {
  SetTinyRun();
  ModelConfig model;
  model.vocabulary_size = 4'000'000;  // one block of 62 GiB in f32, which is never cut
  model.width = model.num_heads = model.num_kv_heads = 4096;
  model.intermediate_width = 6;
  model.num_layers = 1;
  model.head_width = 2;
  model.max_positions = 64;
  model.end_token_ids = {1};
  SetModel(model);
  EXPECT_THAT(Describe(Host(8, "a100")), HasSubstr("nothing that this config can change"));
}

}  // namespace
}  // namespace routewright
