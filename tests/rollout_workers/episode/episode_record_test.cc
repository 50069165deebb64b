// What an episode leaves behind: for each row of the router protocol its record, observation,
// status and scores; and the token record itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/rollout_workers/episode/episode_world.h"
#include "tests/rollout_workers/pool/fake_pool.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

constexpr char kSearch[] = "<think>who</think><search>Atlas: capital of Peru?</search>";
constexpr char kAnswer[] = "<think>so</think><answer>Lima</answer>";

class EpisodeRecordTest : public testing::Test {
 protected:
  Trajectory Play(const std::vector<std::string>& rounds) {
    return world_.Play(rounds, [this](const PoolRequest& request) {
      calls_.push_back(request.model);
      return FakePool::Reply("It is Lima.", /*cost_picousd=*/1000 + request.round);
    });
  }
  std::string Text(const Trajectory& trajectory, Provenance provenance) const {
    std::string text;
    for (int t = 0; t < trajectory.token_ids_size(); ++t) {
      if (trajectory.provenance(t) == provenance)
        text += world_.tokenizer.TokenBytes(trajectory.token_ids(t));
    }
    return text;
  }

  EpisodeWorld world_;
  std::vector<std::string> calls_;
};

TEST_F(EpisodeRecordTest, EachInvalidRoundIsToldWhatWasWrongWithoutACallAndCounts) {
  const std::pair<std::string, InvalidReason> rows[] = {
      {"<think>t</think><search>Nobody: q</search>", INVALID_REASON_UNKNOWN_MODEL},
      {"<think>t</think><search>Atlas: </search>", INVALID_REASON_EMPTY_QUERY},
      {"<think>t</think><search>LLM-Name: your-query</search>", INVALID_REASON_PLACEHOLDER},
      {"<think>t</think><search>Atlas capital of Peru</search>", INVALID_REASON_NO_COLON},
      {"<think>t</think><|end|>", INVALID_REASON_NO_TAGS},
  };
  std::set<std::string> observations;
  for (const auto& [round, reason] : rows) {
    const Trajectory trajectory = Play({round, kAnswer});
    EXPECT_EQ(trajectory.actions(0).kind(), ACTION_KIND_INVALID) << round;
    EXPECT_EQ(trajectory.actions(0).invalid_reason(), reason) << round;
    EXPECT_EQ(trajectory.invalid_actions(), 1) << round;
    EXPECT_EQ(trajectory.actions(1).round(), 1) << round;
    EXPECT_EQ(trajectory.status(), EPISODE_STATUS_ANSWERED) << round;
    EXPECT_EQ(trajectory.components().format_reward(), -1) << round;
    EXPECT_EQ(trajectory.components().em(), 1) << round;  // reported whatever the format
    observations.insert(Text(trajectory, PROVENANCE_OBSERVATION));
  }
  EXPECT_THAT(calls_, ElementsAre());
  EXPECT_EQ(observations.size(), std::size(rows));
  for (const std::string& text : observations) {
    EXPECT_THAT(text, StartsWith("\n\n<information>Invalid "));
    EXPECT_LT(text.size(), 120u);
  }
}

TEST_F(EpisodeRecordTest, InvalidRoundsUseUpTheRoundsThatMayCall) {
  const std::string invalid = "<think>t</think><|end|>";
  const Trajectory trajectory = Play({invalid, invalid, kSearch});
  EXPECT_EQ(trajectory.status(), EPISODE_STATUS_NO_ANSWER);
  EXPECT_THAT(calls_, ElementsAre());
}

TEST_F(EpisodeRecordTest, WhateverTheLastRoundHoldsButAnAnswerEndsWithoutOne) {
  for (const std::string last :
       {kSearch, "<think>t</think><search>Nobody: q</search>", "<think>t</think><|end|>", "x"}) {
    calls_.clear();
    const Trajectory trajectory = Play({kSearch, kSearch, last});
    EXPECT_EQ(trajectory.status(), EPISODE_STATUS_NO_ANSWER) << last;
    EXPECT_EQ(calls_.size(), 2u) << last;
    EXPECT_EQ(Text(trajectory, PROVENANCE_POLICY), std::string(kSearch) + kSearch + last);
    EXPECT_EQ(trajectory.components().format_reward(), -1);
    EXPECT_EQ(trajectory.components().em(), 0);
    EXPECT_EQ(trajectory.components().f1(), 0);
  }
}

TEST_F(EpisodeRecordTest, EachFaultInAnyRoundCostsTheFormatAndLeavesTheScore) {
  const std::string faulty_answers[] = {
      "<answer>Lima</answer>",                          // does not begin with a think
      "<think> </think><answer>Lima</answer>",          // an empty one
      "<think>t</think>so <answer>Lima</answer>",       // text outside tags
      "<think>t</think></think><answer>Lima</answer>",  // unbalanced
      "<think>t<think>u</think><answer>Lima</answer>",  // nested
      "<think>t</think><answer>Lima</answer> x",        // text after the tag
      "<think>t</think><information>Lima</information><answer>Lima</answer>",  // not the policy's
  };
  for (const std::string& answer : faulty_answers) {
    const Trajectory trajectory = Play({kSearch, answer});
    EXPECT_EQ(trajectory.status(), EPISODE_STATUS_ANSWERED) << answer;
    EXPECT_EQ(trajectory.components().format_reward(), -1) << answer;
    EXPECT_EQ(trajectory.components().em(), 1) << answer;
  }
  const std::string faulty_search = "so <think>t</think><search>Atlas: q</search>";
  EXPECT_EQ(Play({faulty_search, kAnswer}).components().format_reward(), -1);
  EXPECT_EQ(Play({kSearch, std::string(kAnswer) + "\n\n"}).components().format_reward(), 0);
}

TEST_F(EpisodeRecordTest, AnAnswerThatNormalizesToNothingIsWrong) {
  EpisodeSpec spec = world_.Spec();
  spec.mutable_question()->clear_golden_answers();
  spec.mutable_question()->add_golden_answers("the");
  Episode episode(&world_.context, spec, 1);
  episode.Begin();
  const EpisodeCommand end =
      episode.RoundFinished(world_.Round(0, "<think>t</think><answer>The.</answer>"));
  const RewardComponents& components = std::get<Trajectory>(end).components();
  EXPECT_EQ(components.em(), 0);
  EXPECT_EQ(components.f1(), 0);
  EXPECT_EQ(components.format_reward(), 0);
}

TEST_F(EpisodeRecordTest, TheCostIsTheSumOfAllCalls) {
  const Trajectory trajectory = Play({kSearch, kSearch, kAnswer});
  EXPECT_EQ(trajectory.components().cost_picousd(), 1000 + 1001);
  EXPECT_EQ(trajectory.pool_calls_size(), 2);
}

TEST_F(EpisodeRecordTest, WhatAFailedCallCostIsKeptThoughNothingIsScored) {
  for (const CallOutcome outcome : {CALL_OUTCOME_TIMED_OUT, CALL_OUTCOME_CANCELLED}) {
    const Trajectory trajectory = world_.Play({kSearch, kSearch}, [&](const PoolRequest& request) {
      PoolCall call = FakePool::Reply("It is Li", 500);
      if (request.round == 1) call.set_outcome(outcome);
      return call;
    });
    RewardComponents cost_alone;
    cost_alone.set_cost_picousd(1000);
    EXPECT_EQ(trajectory.components().DebugString(), cost_alone.DebugString());
  }
}

// The policy may spell a tag with other tokens than the tokenizer would.
TEST_F(EpisodeRecordTest, SampledTokensAreNeverDecodedAndEncodedAgain) {
  RoundResult search = world_.Round(0, ""), answer = world_.Round(1, "");
  for (auto* round : {&search, &answer}) {
    round->token_ids = world_.tokenizer.EncodePlain(round == &search ? kSearch : kAnswer);
    round->logprobs.assign(round->token_ids.size(), -1);
    round->policy_versions.assign(round->token_ids.size(), 3);
  }
  ASSERT_NE(search.token_ids, world_.tokenizer.Encode(kSearch));
  Episode episode(&world_.context, world_.Spec(), 1);
  std::vector<uint32_t> expected = std::get<RoundRequest>(episode.Begin()).new_token_ids;
  const auto add = [&](const std::vector<uint32_t>& ids) {
    expected.insert(expected.end(), ids.begin(), ids.end());
  };
  add(search.token_ids);
  episode.RoundFinished(search);
  add(std::get<RoundRequest>(episode.PoolCallFinished(FakePool::Reply("x"))).new_token_ids);
  add(answer.token_ids);
  const EpisodeCommand end = episode.RoundFinished(answer);
  const Trajectory& trajectory = std::get<Trajectory>(end);
  EXPECT_EQ(trajectory.status(), EPISODE_STATUS_ANSWERED);
  EXPECT_EQ(std::vector<uint32_t>(trajectory.token_ids().begin(), trajectory.token_ids().end()),
            expected);
}

TEST_F(EpisodeRecordTest, WhatFollowsAnEndTokenComesDirectlyAfterIt) {
  const Trajectory trajectory = Play({"<think>t</think><|end|>", kAnswer});
  const int end_token = trajectory.actions(0).end_token();
  EXPECT_EQ(trajectory.token_ids(end_token - 1), ByteTokenizer::kEnd);
  EXPECT_EQ(trajectory.provenance(end_token - 1), PROVENANCE_POLICY);
  EXPECT_EQ(trajectory.provenance(end_token), PROVENANCE_OBSERVATION);
  EXPECT_EQ(trajectory.token_ids(end_token), uint32_t{'\n'});
}

TEST_F(EpisodeRecordTest, TheThinkingIsNoAction) {
  Play({"<think>I could ask Sage: who. Or answer Lima.</think><search>Atlas: q</search>", kAnswer});
  EXPECT_THAT(calls_, ElementsAre("Atlas"));
}

TEST(EpisodeDefaultsTest, AreTheStatedLimits) {
  const EpisodeConfig limits;
  EXPECT_EQ(limits.max_rounds(), 4);
  EXPECT_EQ(limits.max_prompt_tokens(), 2048);
  EXPECT_EQ(limits.max_sequence_tokens(), 4096);
  EXPECT_EQ(limits.max_round_tokens(), 1024);
  EXPECT_EQ(limits.max_observation_tokens(), 600);
  EXPECT_EQ(limits.temperature(), 1.0);
  EXPECT_EQ(PoolConfig().max_reply_tokens(), 512);
  EXPECT_EQ(EvaluationConfig().temperature(), 0.0);
  EXPECT_EQ(RewardConfig().cost_window(), 1000);
}

}  // namespace
}  // namespace routewright
