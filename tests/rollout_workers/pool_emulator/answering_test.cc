#include "rollout_workers/pool_emulator/answering.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/rollout_workers/pool_emulator/small_world.h"

namespace routewright {
namespace {

constexpr int kQuestions = 4000;

FactsTable SmallWorld() { return *FactsTable::Parse(kSmallWorld, "world"); }

EmulatedModelConfig Model(const std::string& name, double skill) {
  EmulatedModelConfig model;
  model.set_name(name);
  (*model.mutable_skill())["default"] = skill;
  return model;
}

std::string Sum(int i) { return absl::StrCat("What is ", i, " + ", 3 * i, "?"); }

TEST(AnsweringTest, AModelThatKnowsEverythingIsRightInASentence) {
  const FactsTable facts = SmallWorld();
  const EmulatedModelConfig model = Model("oracle", 1.0);
  EXPECT_EQ(AnswerMessage(facts, 1, model, "What is the capital of Peru?"),
            "The capital of Peru is Lima.");
  EXPECT_EQ(AnswerMessage(facts, 1, model, "Which currency is used in Peru?"),
            "People in Peru pay with the sol.");
  EXPECT_EQ(AnswerMessage(facts, 1, model, "What is 17 + 25?"), "17 + 25 is 42.");
}

TEST(AnsweringTest, AModelThatKnowsNothingIsAlwaysPlausiblyWrong) {
  const FactsTable facts = SmallWorld();
  std::set<std::string> said;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    said.insert(AnswerMessage(facts, seed, Model("fool", 0.0), "What is the capital of Peru?"));
  }
  const std::set<std::string> plausible = {"The capital of Peru is Santiago.",
                                           "The capital of Peru is Nairobi.",
                                           "The capital of Peru is Yamoussoukro."};
  EXPECT_EQ(said, plausible);
}

TEST(AnsweringTest, WrongSumsAreNearAndNeverRightOrNegative) {
  const FactsTable facts = SmallWorld();
  const EmulatedModelConfig model = Model("fool", 0.0);
  for (int i = 0; i < kQuestions; ++i) {
    const std::string reply = AnswerMessage(facts, 1, model, Sum(i));
    const int value = std::stoi(reply.substr(reply.find(" is ") + 4));
    EXPECT_NE(value, 4 * i);
    EXPECT_LE(std::abs(value - 4 * i), 10);
    EXPECT_GE(value, 0);
  }
}

TEST(AnsweringTest, AnUnknownSubjectGetsAPlausibleValueWhateverTheSkill) {
  const std::string reply =
      AnswerMessage(SmallWorld(), 1, Model("oracle", 1.0), "What is the capital of Atlantis?");
  EXPECT_TRUE(absl::StartsWith(reply, "The capital of Atlantis is ")) << reply;
}

TEST(AnsweringTest, WhatNoFormAsksIsNotKnown) {
  EXPECT_EQ(AnswerMessage(SmallWorld(), 1, Model("oracle", 1.0), "Who wrote Hamlet?"), kDoNotKnow);
}

TEST(AnsweringTest, SkillIsTheShareOfFactsKnownAndModelsKnowDifferentOnes) {
  const FactsTable facts = SmallWorld();
  const EmulatedModelConfig first = Model("first", 0.7), second = Model("second", 0.7);
  int right = 0, both = 0;
  for (int i = 0; i < kQuestions; ++i) {
    const std::string truth = absl::StrCat(" is ", 4 * i, ".");
    const bool first_is_right = absl::EndsWith(AnswerMessage(facts, 9, first, Sum(i)), truth);
    right += first_is_right;
    both += first_is_right && absl::EndsWith(AnswerMessage(facts, 9, second, Sum(i)), truth);
  }
  EXPECT_NEAR(right / double{kQuestions}, 0.7, 0.03);
  EXPECT_NEAR(both / double{kQuestions}, 0.49, 0.03);
}

TEST(AnsweringTest, ATopicsOwnSkillGoesBeforeTheDefault) {
  EmulatedModelConfig model = Model("specialist", 0.0);
  (*model.mutable_skill())["capital"] = 1.0;
  EXPECT_EQ(AnswerMessage(SmallWorld(), 1, model, "What is the capital of Peru?"),
            "The capital of Peru is Lima.");
  EXPECT_NE(AnswerMessage(SmallWorld(), 1, model, "Which currency is used in Peru?"),
            "People in Peru pay with the sol.");
}

TEST(AnsweringTest, WordingAndInstructionsDoNotChangeWhatAModelBelieves) {
  const FactsTable facts = SmallWorld();
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const EmulatedModelConfig model = Model("half", 0.5);
    EXPECT_EQ(AnswerMessage(facts, seed, model, "What is the capital of Peru?"),
              AnswerMessage(facts, seed, model, "Be brief.\nWhich city is the capital of Peru?"));
  }
}

TEST(AnsweringTest, LatencyIsLogNormalAroundItsMedian) {
  EmulatedModelConfig model = Model("slow", 1.0);
  EXPECT_EQ(ReplyLatency(1, model, "q"), absl::ZeroDuration());
  model.set_latency_median_ms(100);
  model.set_latency_sigma(0.5);
  double sum = 0, sum_of_squares = 0;
  for (int i = 0; i < kQuestions; ++i) {
    const double log_ratio =
        std::log(absl::ToDoubleMilliseconds(ReplyLatency(1, model, absl::StrCat(i))) / 100);
    sum += log_ratio;
    sum_of_squares += log_ratio * log_ratio;
  }
  EXPECT_NEAR(sum / kQuestions, 0.0, 0.03);
  EXPECT_NEAR(std::sqrt(sum_of_squares / kQuestions), 0.5, 0.03);
}

TEST(AnsweringTest, FailuresComeAtTheirRatesAndALaterAttemptMaySucceed) {
  EmulatedModelConfig model = Model("shaky", 1.0);
  model.set_failure_rate(0.2);
  model.set_rate_limit_rate(0.3);
  int unavailable = 0, rate_limited = 0;
  for (int i = 0; i < kQuestions; ++i) {
    const EmulatedFailure failure = FailureOfAttempt(1, model, "q", i);
    unavailable += failure == EmulatedFailure::kUnavailable;
    rate_limited += failure == EmulatedFailure::kRateLimited;
  }
  EXPECT_NEAR(unavailable / double{kQuestions}, 0.2, 0.03);
  EXPECT_NEAR(rate_limited / double{kQuestions}, 0.3, 0.03);
}

TEST(AnsweringTest, PiecesJoinToTheTextAndKeepCharactersWhole) {
  const std::string text =
      "The capital of Côte d'Ivoire is Yamoussoukro. \n 17+25 \xff ありがとうございます ";
  const std::vector<std::string_view> pieces = SplitPieces(text);
  std::string joined;
  for (const std::string_view piece : pieces) {
    EXPECT_FALSE(piece.empty());
    EXPECT_NE(static_cast<unsigned char>(piece[0]) & 0xC0, 0x80) << piece;
    joined += piece;
  }
  EXPECT_EQ(joined, text);
  EXPECT_EQ(SplitPieces("The capital of Peru is Lima.").size(), 8u);  // " capita" "l"
  EXPECT_TRUE(SplitPieces("").empty());
}

}  // namespace
}  // namespace routewright
