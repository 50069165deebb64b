#include "trainer/live_page/trajectory_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/trainer/live_page/made_up_run.h"

namespace routewright {
namespace {

class TrajectoryViewTest : public ::testing::Test {
 protected:
  ShownTrajectory Shown(const std::string& reply) const {
    ShownTrajectory shown{MadeUpTrajectory(*tokenizer_, config_, 3, 1, PURPOSE_TRAIN, reply), {}};
    for (const int provenance : shown.trajectory.provenance()) {
      shown.advantages.push_back(provenance == PROVENANCE_POLICY ? 0.5f : std::nanf(""));
    }
    return shown;
  }
  nlohmann::ordered_json Describe(const ShownTrajectory& shown, int max_tokens = 10'000) const {
    return DescribeTrajectory(shown, *tokenizer_, max_tokens);
  }
  static std::string TextOf(const nlohmann::ordered_json& segment) {
    if (segment.contains("text")) return segment["text"];
    std::string text;
    for (const auto& token : segment["tokens"]) text += token[0].get<std::string>();
    return text;
  }

  const RunConfig config_ = MadeUpConfig("out");
  const std::unique_ptr<Tokenizer> tokenizer_ = MadeUpTokenizer();
};

TEST_F(TrajectoryViewTest, SegmentsHaveOneWriterAndOneRoundEach) {
  const auto json = Describe(Shown("Lima"));
  std::vector<std::string> writers;
  for (const auto& segment : json["segments"]) writers.push_back(segment["writer"]);
  EXPECT_THAT(writers, ::testing::ElementsAre("prompt", "policy", "observation", "policy"));
  EXPECT_EQ(json["segments"][1]["round"], 1);
  EXPECT_EQ(json["segments"][1]["action"]["kind"], "search");
  EXPECT_EQ(json["segments"][3]["action"]["kind"], "answer");
  EXPECT_EQ(TextOf(json["segments"][2]), "<information>Lima</information>");
  EXPECT_EQ(TextOf(json["segments"][3]), "<answer>Lïma</answer>")
      << "a character of two tokens is whole";
}

TEST_F(TrajectoryViewTest, OnlyThePolicysTokensHaveAnAdvantage) {
  const auto json = Describe(Shown("Lima"));
  for (const auto& segment : json["segments"]) {
    EXPECT_EQ(segment.contains("tokens"), segment["writer"] == "policy");
    if (!segment.contains("tokens")) continue;
    for (const auto& token : segment["tokens"]) EXPECT_EQ(token[2], 0.5);
  }
  EXPECT_DOUBLE_EQ(json["advantage"], 0.5);
}

TEST_F(TrajectoryViewTest, WhatNothingWasLearntFromHasNone) {
  ShownTrajectory shown = Shown("Lima");
  shown.advantages.clear();
  const auto json = Describe(shown);
  EXPECT_TRUE(json["advantage"].is_null());
  EXPECT_TRUE(json["segments"][1]["tokens"][0][2].is_null());
}

TEST_F(TrajectoryViewTest, BrokenTextIsStillJson) {
  ShownTrajectory shown = Shown(std::string(kHostile));
  AddTokens(*tokenizer_, "x", PROVENANCE_POLICY, shown.trajectory);
  for (const uint32_t byte : {0xe2u, 0x82u}) {  // a character that never ends
    shown.trajectory.add_token_ids(byte);
    shown.trajectory.add_provenance(PROVENANCE_POLICY);
    shown.trajectory.add_logprobs(-1);
  }
  const std::string text = Describe(shown).dump();
  EXPECT_EQ(nlohmann::ordered_json::parse(text)["answer"], kHostile);
  EXPECT_NE(text.find("\xef\xbf\xbd"), std::string::npos);
}

TEST_F(TrajectoryViewTest, OfAVeryLongOneTheBeginIsShown) {
  const auto json = Describe(Shown(std::string(50'000, 'a')), 100);
  EXPECT_GT(json["tokens_left_out"].get<int>(), 49'000);
  EXPECT_LT(json.dump().size(), 60'000u);
}

}  // namespace
}  // namespace routewright
