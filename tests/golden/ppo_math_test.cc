// The paper's PPO and GRPO mathematics, against vectors computed from its published code in f64.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "trainer/algorithm/advantages/gae.h"
#include "trainer/algorithm/advantages/group_advantages.h"
#include "trainer/algorithm/advantages/whiten.h"
#include "trainer/algorithm/losses/kl.h"
#include "trainer/algorithm/losses/policy_loss.h"
#include "trainer/algorithm/losses/value_loss.h"

namespace routewright {
namespace {

using Json = nlohmann::json;
constexpr double kTolerance = 1e-6;

std::string GoldenFolder() {
  const char* folder = std::getenv("ROUTEWRIGHT_GOLDEN_DIR");
  return folder != nullptr ? folder : "tests/golden";
}

std::vector<Json> ReadVectors() {
  std::ifstream file(GoldenFolder() + "/ppo_math.jsonl");
  std::vector<Json> vectors;
  for (std::string line; std::getline(file, line);) vectors.push_back(Json::parse(line));
  return vectors;
}

// The entries of a [rows][columns] array where the mask is 1, row after row.
std::vector<double> Masked(const Json& rows, const Json& mask) {
  std::vector<double> values;
  for (size_t b = 0; b < rows.size(); ++b) {
    for (size_t t = 0; t < rows[b].size(); ++t) {
      if (mask[b][t].get<double>() != 0.0) values.push_back(rows[b][t].get<double>());
    }
  }
  return values;
}

std::vector<double> MaskedRow(const Json& rows, const Json& mask, size_t b) {
  return Masked(Json::array({rows[b]}), Json::array({mask[b]}));
}

void ExpectNear(const std::vector<double>& actual, const std::vector<double>& expected) {
  EXPECT_THAT(actual, ::testing::Pointwise(::testing::DoubleNear(kTolerance), expected));
}

class PpoMathGoldenTest : public ::testing::TestWithParam<Json> {
 protected:
  std::vector<double> Get(const char* key) const {
    return Masked(GetParam()[key], GetParam()["mask"]);
  }
  std::vector<double> MeanWeights() const {
    const size_t n = Get("mask").size();
    return std::vector<double>(n, 1.0 / n);
  }
};

TEST_P(PpoMathGoldenTest, GaeGivesReturnsAndWhitenedAdvantages) {
  const Json& golden = GetParam();
  std::vector<double> advantages, returns;
  for (size_t b = 0; b < golden["mask"].size(); ++b) {
    const GaeResult gae = Gae(MaskedRow(golden["rewards"], golden["mask"], b),
                              MaskedRow(golden["values"], golden["mask"], b),
                              golden["gamma"].get<double>(), golden["lambda_"].get<double>());
    advantages.insert(advantages.end(), gae.advantages.begin(), gae.advantages.end());
    returns.insert(returns.end(), gae.returns.begin(), gae.returns.end());
  }
  Whiten(advantages);
  ExpectNear(returns, Get("returns"));
  ExpectNear(advantages, Get("advantages_whitened"));
}

TEST_P(PpoMathGoldenTest, PolicyLossClipFractionAndApproximateKl) {
  const Json& golden = GetParam();
  LossConfig config;  // as published: without a dual clip
  config.set_clip_low(golden["clip"].get<double>());
  config.set_clip_high(golden["clip"].get<double>());
  config.set_dual_clip(0);
  const auto logprobs = Get("logprob"), old_logprobs = Get("old_logprob"),
             advantages = Get("advantages_whitened"), weights = MeanWeights();
  const PolicyLoss loss = ComputePolicyLoss({logprobs, old_logprobs, advantages, weights}, config);
  const double n = logprobs.size();
  EXPECT_NEAR(loss.loss, golden["policy_loss"].get<double>(), kTolerance);
  EXPECT_NEAR(loss.clipped_tokens / n, golden["clip_fraction"].get<double>(), kTolerance);
  EXPECT_NEAR(loss.old_minus_new / n, golden["approx_kl"].get<double>(), kTolerance);
}

TEST_P(PpoMathGoldenTest, ValueLossAndClipFraction) {
  const Json& golden = GetParam();
  const auto values = Get("value_pred"), old_values = Get("values"), returns = Get("returns"),
             weights = MeanWeights();
  const ValueLoss loss =
      ClippedValueLoss({values, old_values, returns, weights}, golden["value_clip"].get<double>());
  EXPECT_NEAR(loss.loss, golden["value_loss"].get<double>(), kTolerance);
  EXPECT_NEAR(loss.clipped_tokens / static_cast<double>(values.size()),
              golden["value_clip_fraction"].get<double>(), kTolerance);
}

TEST_P(PpoMathGoldenTest, EveryKlEstimator) {
  const std::pair<const char*, LossConfig::KlEstimator> kEstimators[] = {
      {"kl", LossConfig::KL_ESTIMATOR_K1},
      {"abs", LossConfig::KL_ESTIMATOR_ABS},
      {"mse", LossConfig::KL_ESTIMATOR_MSE},
      {"low_var_kl", LossConfig::KL_ESTIMATOR_LOW_VAR}};
  const auto logprobs = Get("logprob"), reference = Get("ref_logprob");
  for (const auto& [name, estimator] : kEstimators) {
    std::vector<double> penalties;
    for (size_t i = 0; i < logprobs.size(); ++i) {
      penalties.push_back(KlPenalty(estimator, logprobs[i], reference[i]));
    }
    SCOPED_TRACE(name);
    ExpectNear(penalties, Masked(GetParam()["kl"][name], GetParam()["mask"]));
  }
}

TEST_P(PpoMathGoldenTest, GroupAdvantagesPerTrajectory) {
  const Json& golden = GetParam();
  std::vector<double> scores;
  std::vector<int64_t> groups;
  for (size_t b = 0; b < golden["mask"].size(); ++b) {
    double score = 0.0;
    for (double reward : MaskedRow(golden["rewards"], golden["mask"], b)) score += reward;
    scores.push_back(score);
    groups.push_back(golden["group"][b].get<int64_t>());
  }
  const std::vector<double> advantages =
      GroupAdvantages(scores, groups, AdvantageConfig::SCALE_GROUP);
  for (size_t b = 0; b < scores.size(); ++b) {
    for (double expected : MaskedRow(golden["grpo_advantages"], golden["mask"], b)) {
      EXPECT_NEAR(advantages[b], expected, kTolerance);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllVectors, PpoMathGoldenTest, ::testing::ValuesIn(ReadVectors()),
                         [](const auto& info) { return "line_" + std::to_string(info.index + 1); });

TEST(PpoMathGoldenFileTest, IsThere) { EXPECT_EQ(ReadVectors().size(), 24u) << GoldenFolder(); }

}  // namespace
}  // namespace routewright
