#include "common/reward/reward_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace routewright {
namespace {

using ::testing::HasSubstr;

std::string Reference(const std::string& line) {
  const auto scores = ScoreReferenceLine(line);
  return scores.ok() ? *scores : std::string(scores.status().message());
}

std::string Strict(const std::string& line, RewardConfig::Metric metric = RewardConfig::METRIC_EM,
                   double alpha = 0) {
  RewardConfig config;
  config.set_metric(metric);
  config.set_cost_coefficient(alpha);
  const auto scores = ScoreStrictLine(line, config);
  return scores.ok() ? *scores : std::string(scores.status().message());
}

TEST(RewardLinesTest, AReferenceLineIsScored) {
  EXPECT_EQ(
      Reference(
          R"({"response":"<think>t</think><answer> the Rome </answer>","golden_answers":["Rome"],)"
          R"("metric":"em","cost_coefficient":0.5,"cost_reward":0.25})"),
      R"({"answer":"the Rome","em":1.0,"f1":1.0,"format_reward":0.0,"valid_routes":0,"reward":0.625})");
  EXPECT_EQ(
      Reference(R"({"response":"x","golden_answers":[]})"),
      R"({"answer":null,"em":0.0,"f1":0.0,"format_reward":-1.0,"valid_routes":0,"reward":-1.0})");
}

TEST(RewardLinesTest, ABadReferenceLineSaysWhatIsWrong) {
  EXPECT_EQ(Reference("{"), "is not valid JSON");
  EXPECT_EQ(Reference("{\"response\":\"\xff\"}"), "is not valid JSON");
  EXPECT_EQ(Reference("[]"), "is not a JSON object");
  EXPECT_EQ(Reference(R"({"golden_answers":[]})"), "needs \"response\", a text");
  EXPECT_EQ(Reference(R"({"response":3,"golden_answers":[]})"), "needs \"response\", a text");
  EXPECT_EQ(Reference(R"({"response":"x"})"), "needs \"golden_answers\", a list of texts");
  EXPECT_EQ(Reference(R"({"response":"x","golden_answers":[1]})"),
            "has a golden answer that is no text");
  EXPECT_THAT(Reference(R"({"response":"x","golden_answers":[],"metric":"bleu"})"),
              HasSubstr("neither"));
  EXPECT_THAT(Reference(R"({"response":"x","golden_answers":[],"cost_reward":"1"})"),
              HasSubstr("\"cost_reward\""));
}

constexpr char kTrajectory[] =
    R"({"episodeId":"eval/0/1","status":"EPISODE_STATUS_ANSWERED","question":{"goldenAnswers":["Rome"]},)"
    R"("actions":[{"kind":"ACTION_KIND_ANSWER","answer":"Rome Italy"}],"poolCalls":[{"costPicousd":"7"},{"costPicousd":"5"}],)"
    R"("costReward":0.5})";

TEST(RewardLinesTest, ATrajectoryIsScoredFromItsRecords) {
  EXPECT_EQ(
      Strict(kTrajectory),
      R"({"episode_id":"eval/0/1","status":"ANSWERED","em":0.0,"f1":0.6666666666666666,"format_reward":0.0,)"
      R"("cost_picousd":12,"reward":0.0})");
  EXPECT_THAT(Strict(kTrajectory, RewardConfig::METRIC_F1, 0.6), HasSubstr("\"reward\":0.46666"));
  RewardConfig gated;
  gated.set_cost_form(RewardConfig::COST_FORM_GATED);
  gated.set_metric(RewardConfig::METRIC_F1);
  gated.set_usd_weight(0);
  const auto reward_of = [&](const RewardConfig& config, double cost_weight) {
    return nlohmann::json::parse(*ScoreStrictLine(kTrajectory, config, cost_weight));
  };
  const double f1 = reward_of(gated, 0)["f1"], picousd = reward_of(gated, 0)["cost_picousd"];
  ASSERT_GT(f1, 0);
  ASSERT_GT(picousd, 0);
  gated.set_usd_weight(0.25 / (picousd * 1e-12));
  EXPECT_NEAR(reward_of(gated, 0)["reward"], f1 * 0.75, 1e-12);
  RewardConfig budget = gated;
  budget.set_cost_form(RewardConfig::COST_FORM_BUDGET);
  budget.set_budget_usd_per_question(picousd * 1e-12);
  EXPECT_NEAR(reward_of(budget, 0.5)["reward"], f1 - 0.5, 1e-12);
}

TEST(RewardLinesTest, AnOutageHasNoReward) {
  std::string line = kTrajectory;
  line.replace(line.find("ANSWERED"), 8, "POOL_FAILED");
  EXPECT_THAT(Strict(line), HasSubstr("\"status\":\"POOL_FAILED\""));
  EXPECT_THAT(Strict(line), HasSubstr("\"reward\":null"));
}

TEST(RewardLinesTest, ALineThatIsNoTrajectoryIsRefused) {
  EXPECT_THAT(Strict("{"), HasSubstr("is no trajectory"));
  EXPECT_THAT(Strict(R"({"response":"x"})"), HasSubstr("is no trajectory"));
  EXPECT_THAT(Strict(R"({"status":77})"), HasSubstr("status is unknown"));
}

}  // namespace
}  // namespace routewright
