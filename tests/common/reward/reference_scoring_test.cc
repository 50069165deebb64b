#include "common/reward/reference_scoring.h"

#include <gtest/gtest.h>

#include "common/reward/tag_scan.h"

namespace routewright {
namespace {

constexpr char kSound[] =
    "<think>who</think><search> Qwen: who wrote it? "
    "</search><information>x</information><think>so</think>"
    "<answer> Paris </answer>";

std::string Replaced(const std::string& from, const std::string& to) {
  std::string text = kSound;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(ReferenceScoringTest, ASoundResponseHasNoFault) {
  EXPECT_EQ(ReferenceFormatReward(kSound), 0);
  EXPECT_EQ(ReferenceFormatReward(std::string(" \n") + kSound + "\u2003\n"), 0);
  EXPECT_EQ(ReferenceFormatReward("<think>x</think><answer></answer>"), 0);
}

TEST(ReferenceScoringTest, EachFaultOfFormatCounts) {
  const std::string faulty[] = {
      "",
      "no tags",
      Replaced("<think>who", "<think>who<think>"),  // counts differ
      Replaced("<think>who", "<think> ... "),
      Replaced("<think>who", "<think>\n"),
      Replaced("x</info", "x<think>y</think></info"),      // a tag inside a pair
      Replaced("<answer>", "<answer>a</answer><answer>"),  // two answers
      "<answer>x</answer>",                                // no think
      Replaced("<information>x</information>", ""),        // searches ≠ informations
      "so " + std::string(kSound),
      std::string(kSound) + " so",
      Replaced("Qwen: who", "Qwen who"),
      Replaced("Qwen: who", "Qwen: a: b"),
      Replaced(" who wrote it?", " "),
      Replaced("Qwen: who", "LLM-Name qwen: who"),
      Replaced("who wrote it?", "Your-Query"),
      Replaced("who wrote it?", "who is QWEN?"),  // the name is in the query
      Replaced("Qwen: who", "GPT-4: who"),
      Replaced("Qwen: who", ": who"),
      Replaced("<search>", "<Search>"),  // case-sensitive
  };
  for (const std::string& response : faulty)
    EXPECT_EQ(ReferenceFormatReward(response), -1) << response;
}

TEST(ReferenceScoringTest, RoutesCountUpToTheFirstBadSearch) {
  EXPECT_EQ(ReferenceValidRoutes(kSound), 1);
  EXPECT_EQ(ReferenceValidRoutes("<search>qwen: a</search> <search>mistral: b</search> junk"), 2);
  EXPECT_EQ(ReferenceValidRoutes(
                "<search>qwen: a</search><search>gpt: b</search><search>qwen: c</search>"),
            1);
  EXPECT_EQ(ReferenceValidRoutes("<search>qwen: qwen</search>"), 1);  // a fault of format alone
  EXPECT_EQ(
      ReferenceValidRoutes("<answer><search>qwen: a</search></answer><search>qwen: b</search>"), 1);
  EXPECT_EQ(ReferenceValidRoutes("<search>qwen: <search>gemma: a</search>"), 0);
}

TEST(ReferenceScoringTest, TheLastAnswerCounts) {
  EXPECT_EQ(ReferenceAnswer("<answer>a</answer><answer>\n b\u00a0</answer>"), "b");
  EXPECT_EQ(ReferenceAnswer("<answer>a<answer>b</answer>"), "a<answer>b");
  EXPECT_EQ(ReferenceAnswer("<think><answer>x</answer></think>"),
            "x");  // answers are looked for alone
  EXPECT_EQ(ReferenceAnswer("</answer><answer>a"), std::nullopt);
}

TEST(ReferenceScoringTest, NamesResolveByTheFirstRuleThatHits) {
  const std::pair<const char*, const char*> names[] = {
      {"Qwen2.5-7B-Instruct", "Qwen2.5-7B"},
      {"llama qwen 70b", "Qwen2.5-7B"},
      {"PALMYRA", "Palmyra-122B"},
      {"creative llama", "Palmyra-122B"},
      {"LLaMA-3.1-70B", "LLaMA-3.1-70B"},
      {"llama 51b 49b", "Nemotron-51B"},
      {"llama 49b", "Nemotron-49B"},
      {"llama chatqa 8b", "ChatQA-8B"},
      {"llama3-8b", "LLaMA-3.1-8B"},
      {"mistral mixtral", "Mistral-7B"},
      {"Mixtral-8x22B", "Mixtral-8x22B"},
      {"granite", "Granite-8B"},
      {"gemma", "Gemma-2-27B"},
  };
  for (const auto& [name, model] : names) EXPECT_EQ(ResolveReferenceName(name), model) << name;
  for (const char* name : {"llama", "llama 3b mistral", "chatqa 8b", "gpt", ""}) {
    EXPECT_EQ(ResolveReferenceName(name), std::nullopt) << name;
  }
}

TEST(ReferenceScoringTest, RewardsAreThePublishedForms) {
  const std::vector<std::string> golden = {"Paris"}, near = {"Paris town"};
  const auto reward = [](std::string_view response, const std::vector<std::string>& answers,
                         RewardConfig::Metric metric) {
    return ScoreReference(response, answers, metric, 0.6, 0.5).reward;
  };
  EXPECT_DOUBLE_EQ(reward(kSound, golden, RewardConfig::METRIC_EM), 0.4 + 0.6 * 0.5);
  EXPECT_EQ(reward(kSound, near, RewardConfig::METRIC_EM), 0);
  EXPECT_DOUBLE_EQ(reward(kSound, near, RewardConfig::METRIC_F1),
                   2.0 / 3 * 0.4 + 0.6 * 0.5);  // the whole cost bonus
  EXPECT_EQ(reward("<answer>Paris</answer>", golden, RewardConfig::METRIC_EM), -1);
  const ReferenceScore faulty =
      ScoreReference("<answer>Paris</answer>", golden, RewardConfig::METRIC_EM, 0, 0);
  EXPECT_EQ(faulty.em, 1);  // reported whatever the format
  EXPECT_DOUBLE_EQ(ReferenceCallCost(1000, 0.3), 0.0003);
}

TEST(TagScanTest, TakesTheFirstClosingTagOfTheSameName) {
  const auto pairs =
      ScanTagPairs("<think>a<answer></think>b</answer><search>\nc</search>", kAllTags);
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].content, "a<answer>");
  EXPECT_EQ(pairs[1].content, "\nc");
}

TEST(TagScanTest, AnOpeningTagWithoutItsPartnerIsPassedOver) {
  const auto pairs = ScanTagPairs("<search><think>a</think><search>", kAllTags);
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].tag, Tag::kThink);
}

}  // namespace
}  // namespace routewright
