// Scoring and rewards, against vectors computed from Router-R1's published code in f64.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/reward/answer_scoring.h"
#include "common/reward/cost_window.h"
#include "common/reward/reference_scoring.h"

namespace routewright {
namespace {

using Json = nlohmann::json;
constexpr double kTolerance = 1e-6;

// The vectors of one file of $ROUTEWRIGHT_GOLDEN_DIR; a file that is missing
// or empty fails the test.
std::vector<Json> ReadVectors(const std::string& name) {
  const char* folder = std::getenv("ROUTEWRIGHT_GOLDEN_DIR");
  const std::string path = std::string(folder != nullptr ? folder : "tests/golden") + "/" + name;
  std::ifstream file(path);
  std::vector<Json> vectors;
  for (std::string line; std::getline(file, line);) vectors.push_back(Json::parse(line));
  EXPECT_FALSE(vectors.empty()) << "no vectors in " << path;
  return vectors;
}

TEST(GoldenTest, AnswerScoringEqualsThePublished) {
  for (const Json& vector : ReadVectors("answer_scoring.jsonl")) {
    const std::string prediction = vector["prediction"];
    const std::vector<std::string> golden = vector["golden_answers"];
    EXPECT_EQ(NormalizeAnswer(prediction), vector["normalized"].get<std::string>()) << vector;
    EXPECT_EQ(ExactMatch(prediction, golden), vector["em"].get<double>()) << vector;
    EXPECT_NEAR(F1Score(prediction, golden), vector["f1"].get<double>(), kTolerance) << vector;
  }
}

TEST(GoldenTest, FormatRewardRoutesAndAnswerEqualThePublished) {
  for (const Json& vector : ReadVectors("format_reward.jsonl")) {
    const std::string response = vector["response"];
    EXPECT_EQ(ReferenceFormatReward(response), vector["format_reward"].get<double>()) << vector;
    EXPECT_EQ(ReferenceValidRoutes(response), vector["valid_routes"].get<int>()) << vector;
    const std::optional<std::string> answer = ReferenceAnswer(response);
    EXPECT_EQ(answer.has_value() ? Json(*answer) : Json(), vector["answer"]) << vector;
  }
}

TEST(GoldenTest, EpisodeRewardEqualsThePublished) {
  for (const Json& vector : ReadVectors("episode_reward.jsonl")) {
    const std::vector<std::string> golden = vector["golden_answers"];
    const auto metric =
        vector["metric"] == "f1" ? RewardConfig::METRIC_F1 : RewardConfig::METRIC_EM;
    const ReferenceScore score =
        ScoreReference(vector["response"].get<std::string>(), golden, metric,
                       vector["cost_coefficient"], vector["cost_reward"]);
    EXPECT_EQ(score.format_reward, vector["format_reward"].get<double>()) << vector;
    EXPECT_NEAR(score.reward, vector["reward"].get<double>(), kTolerance) << vector;
  }
}

TEST(GoldenTest, CostRewardEqualsThePublished) {
  for (const Json& vector : ReadVectors("cost_reward.jsonl")) {
    CostWindow window(vector["window"]);
    const std::vector<double> costs = vector["raw_cost"], rewards = vector["cost_reward"];
    ASSERT_EQ(costs.size(), rewards.size());
    for (size_t i = 0; i < costs.size(); ++i)
      EXPECT_NEAR(window.Add(costs[i]), rewards[i], kTolerance) << i;
  }
}

}  // namespace
}  // namespace routewright
