#include "rollout_workers/episode/episode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/random.h"
#include "tests/rollout_workers/episode/episode_world.h"
#include "tests/rollout_workers/pool/fake_pool.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kSearch[] = "<think>who</think><search>Atlas: capital of Peru?</search>";
constexpr char kAnswer[] = "<think>so</think><answer>Lima</answer>";
constexpr char kInvalid[] = "<think>hm</think>Lima";

const RoundRequest& AsRound(const EpisodeCommand& command) {
  return std::get<RoundRequest>(command);
}
const PoolRequest& AsCall(const EpisodeCommand& command) { return std::get<PoolRequest>(command); }
const Trajectory& AsEnd(const EpisodeCommand& command) { return std::get<Trajectory>(command); }

class EpisodeTest : public testing::Test {
 protected:
  std::string Decode(const std::vector<uint32_t>& ids) const {
    return world_.tokenizer.Decode(ids);
  }
  std::string Text(const Trajectory& trajectory, Provenance provenance) const {
    std::string text;
    for (int t = 0; t < trajectory.token_ids_size(); ++t) {
      if (trajectory.provenance(t) == provenance)
        text += world_.tokenizer.TokenBytes(trajectory.token_ids(t));
    }
    return text;
  }
  Episode NewEpisode() { return Episode(&world_.context, world_.Spec(), /*attempt=*/2); }
  // An episode that has searched and waits for Atlas.
  Episode SearchingEpisode(EpisodeSpec spec = EpisodeWorld::Spec()) {
    Episode episode(&world_.context, std::move(spec), /*attempt=*/2);
    episode.Begin();
    call_ = AsCall(episode.RoundFinished(world_.Round(0, kSearch)));
    return episode;
  }

  EpisodeWorld world_;
  PoolRequest call_;
};

TEST_F(EpisodeTest, BeginsWithThePrompt) {
  Episode episode = NewEpisode();
  const EpisodeCommand command = episode.Begin();
  const RoundRequest& request = AsRound(command);
  EXPECT_EQ(Decode(request.new_token_ids), "Q: Capital of Peru?\n");
  EXPECT_EQ(request.episode_id, "train/000001/0000/00");
  EXPECT_EQ(request.round, 0);
  EXPECT_EQ(request.max_new_tokens, 200);
  EXPECT_EQ(request.temperature, 1.0);
  EXPECT_THAT(request.stop_strings, ElementsAre("</search>", "</answer>"));
}

TEST_F(EpisodeTest, AnAnswerEndsTheEpisodeAnswered) {
  Episode episode = NewEpisode();
  episode.Begin();
  const EpisodeCommand end = episode.RoundFinished(world_.Round(0, kAnswer));
  EXPECT_EQ(AsEnd(end).status(), EPISODE_STATUS_ANSWERED);
  EXPECT_EQ(AsEnd(end).components().em(), 1);
  EXPECT_EQ(AsEnd(end).components().f1(), 1);
  EXPECT_EQ(AsEnd(end).components().format_reward(), 0);
}

TEST_F(EpisodeTest, ASearchCallsTheModelWithTheWrappedQuery) {
  SearchingEpisode();
  EXPECT_EQ(call_.call_id, "train/000001/0000/00/2/0");
  EXPECT_EQ(call_.episode_id, "train/000001/0000/00");
  EXPECT_EQ(call_.round, 0);
  EXPECT_EQ(call_.model, "Atlas");
  EXPECT_EQ(call_.prompt, "Briefly: capital of Peru?");
}

TEST_F(EpisodeTest, AReplyIsObservedAndBeginsTheNextRound) {
  Episode episode = SearchingEpisode();
  const EpisodeCommand command = episode.PoolCallFinished(FakePool::Reply("It is Lima."));
  EXPECT_EQ(Decode(AsRound(command).new_token_ids),
            "\n\n<information>It is Lima.</information>\n\n");
  EXPECT_EQ(AsRound(command).round, 1);
}

TEST_F(EpisodeTest, EachRoundHasAStreamOfItsOwnOfSeedIdAndRoundOnly) {
  Episode episode = NewEpisode();
  const uint64_t first = AsRound(episode.Begin()).stream_key;
  EXPECT_EQ(first, StreamKey(7, "train/000001/0000/00", 0));
  EXPECT_EQ(AsRound(Episode(&world_.context, world_.Spec(), /*attempt=*/1).Begin()).stream_key,
            first);
  EXPECT_EQ(AsRound(episode.RoundFinished(world_.Round(0, kInvalid))).stream_key,
            StreamKey(7, "train/000001/0000/00", 1));
}

TEST_F(EpisodeTest, EveryTokenIsRecordedWithWhoWroteIt) {
  Episode episode = SearchingEpisode();
  episode.PoolCallFinished(FakePool::Reply("It is Lima."));
  const EpisodeCommand end = episode.RoundFinished(world_.Round(1, kAnswer));
  const Trajectory& trajectory = AsEnd(end);
  const int num_tokens = trajectory.token_ids_size();
  ASSERT_EQ(trajectory.provenance_size(), num_tokens);
  ASSERT_EQ(trajectory.logprobs_size(), num_tokens);
  ASSERT_EQ(trajectory.policy_versions_size(), num_tokens);
  EXPECT_EQ(Text(trajectory, PROVENANCE_PROMPT), "Q: Capital of Peru?\n");
  EXPECT_EQ(Text(trajectory, PROVENANCE_POLICY), std::string(kSearch) + kAnswer);
  EXPECT_EQ(Text(trajectory, PROVENANCE_OBSERVATION),
            "\n\n<information>It is Lima.</information>\n\n");
  for (int t = 0; t < num_tokens; ++t) {
    const bool is_policy = trajectory.provenance(t) == PROVENANCE_POLICY;
    EXPECT_EQ(trajectory.policy_versions(t), is_policy ? 3 : -1);
    EXPECT_EQ(trajectory.logprobs(t) != 0, is_policy);
  }
}

TEST_F(EpisodeTest, AnActionNamesItsRoundAndItsTokens) {
  Episode episode = SearchingEpisode();
  episode.PoolCallFinished(FakePool::Reply("x"));
  const EpisodeCommand end = episode.RoundFinished(world_.Round(1, kAnswer));
  const Trajectory& trajectory = AsEnd(end);
  ASSERT_EQ(trajectory.actions_size(), 2);
  for (int round = 0; round < 2; ++round) {
    const Action& action = trajectory.actions(round);
    EXPECT_EQ(action.round(), round);
    std::string text;
    for (int t = action.first_token(); t < action.end_token(); ++t) {
      EXPECT_EQ(trajectory.provenance(t), PROVENANCE_POLICY);
      text += world_.tokenizer.TokenBytes(trajectory.token_ids(t));
    }
    EXPECT_EQ(text, round == 0 ? kSearch : kAnswer);
  }
}

TEST_F(EpisodeTest, CarriesItsIdentityCallsCostAndTimes) {
  Episode episode = SearchingEpisode();
  PoolCall call = FakePool::Reply("x", /*cost_picousd=*/1234);
  call.set_latency_ms(50);
  episode.PoolCallFinished(call);
  const EpisodeCommand end = episode.RoundFinished(world_.Round(1, kAnswer));
  const Trajectory& trajectory = AsEnd(end);
  EXPECT_EQ(trajectory.episode_id(), "train/000001/0000/00");
  EXPECT_EQ(trajectory.attempt(), 2);
  EXPECT_EQ(trajectory.purpose(), PURPOSE_TRAIN);
  EXPECT_EQ(trajectory.step(), 1);
  EXPECT_EQ(trajectory.question().id(), "q1");
  ASSERT_EQ(trajectory.pool_calls_size(), 1);
  EXPECT_EQ(trajectory.pool_calls(0).round(), 0);
  EXPECT_EQ(trajectory.components().cost_picousd(), 1234);
  EXPECT_EQ(trajectory.pool_wait_ms(), 50);
  EXPECT_EQ(trajectory.generate_ms(), 20);
}

TEST_F(EpisodeTest, AnInvalidActionIsObservedWithoutACallAndCounts) {
  Episode episode = NewEpisode();
  episode.Begin();
  const EpisodeCommand command =
      episode.RoundFinished(world_.Round(0, "<search>Nobody: q</search>"));
  EXPECT_THAT(Decode(AsRound(command).new_token_ids), HasSubstr("no model of that name"));
  EXPECT_EQ(AsRound(command).round, 1);
  const EpisodeCommand end = episode.RoundFinished(world_.Round(1, kAnswer));
  EXPECT_EQ(AsEnd(end).invalid_actions(), 1);
  EXPECT_EQ(AsEnd(end).pool_calls_size(), 0);
  EXPECT_EQ(AsEnd(end).components().format_reward(), -1);
}

TEST_F(EpisodeTest, ASearchInTheLastRoundEndsWithoutAnAnswer) {
  Episode episode = NewEpisode();
  episode.Begin();
  episode.RoundFinished(world_.Round(0, kInvalid));
  episode.RoundFinished(world_.Round(1, kInvalid));
  const EpisodeCommand end = episode.RoundFinished(world_.Round(2, kSearch));
  EXPECT_EQ(AsEnd(end).status(), EPISODE_STATUS_NO_ANSWER);
  EXPECT_EQ(AsEnd(end).actions(2).kind(), ACTION_KIND_INVALID);
  EXPECT_EQ(AsEnd(end).actions(2).invalid_reason(), INVALID_REASON_LAST_ROUND_SEARCH);
  EXPECT_EQ(AsEnd(end).invalid_actions(), 3);
  EXPECT_EQ(AsEnd(end).components().em(), 0);
}

TEST_F(EpisodeTest, MaxRoundsRoundsMayCallAndOneMoreMayAnswer) {
  Episode episode = NewEpisode();
  episode.Begin();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(AsCall(episode.RoundFinished(world_.Round(round, kSearch))).round, round);
    episode.PoolCallFinished(FakePool::Reply("x"));
  }
  EXPECT_EQ(AsEnd(episode.RoundFinished(world_.Round(2, kAnswer))).status(),
            EPISODE_STATUS_ANSWERED);
}

TEST_F(EpisodeTest, WithoutRoutingRoundsTheFirstIsTheLast) {
  world_.context.limits.set_max_rounds(0);
  Episode episode = NewEpisode();
  episode.Begin();
  EXPECT_EQ(AsEnd(episode.RoundFinished(world_.Round(0, kSearch))).status(),
            EPISODE_STATUS_NO_ANSWER);
}

TEST_F(EpisodeTest, AnEndTokenStaysInTheRecordButIsNoText) {
  Episode episode = NewEpisode();
  episode.Begin();
  const EpisodeCommand next =
      episode.RoundFinished(world_.Round(0, "<think>t</think><|end|>", StopReason::kEndToken));
  EXPECT_THAT(Decode(AsRound(next).new_token_ids), testing::StartsWith("\n\n<information>"));
  const EpisodeCommand end = episode.RoundFinished(world_.Round(1, kAnswer));
  EXPECT_EQ(Text(AsEnd(end), PROVENANCE_POLICY), std::string("<think>t</think><|end|>") + kAnswer);
  EXPECT_EQ(AsEnd(end).actions(0).invalid_reason(), INVALID_REASON_NO_TAGS);
  EXPECT_EQ(AsEnd(end).actions(0).format_faults_size(), 0);
}

TEST_F(EpisodeTest, AStoppingTokenThatRunsPastTheTagIsRecordedWhole) {
  RoundResult round = world_.Round(0, "<think>t</think><answer>Lima");
  round.token_ids.push_back(*world_.tokenizer.TokenId("</answer>\n\n"));
  round.logprobs.push_back(-1);
  round.policy_versions.push_back(3);
  Episode episode = NewEpisode();
  episode.Begin();
  const EpisodeCommand end = episode.RoundFinished(round);
  EXPECT_THAT(Text(AsEnd(end), PROVENANCE_POLICY), testing::EndsWith("Lima</answer>\n\n"));
  EXPECT_EQ(AsEnd(end).components().em(), 1);
  EXPECT_EQ(AsEnd(end).components().format_reward(), 0);
}

TEST_F(EpisodeTest, ARoundAtItsTokenLimitIsAnInvalidAction) {
  Episode episode = NewEpisode();
  episode.Begin();
  const EpisodeCommand next =
      episode.RoundFinished(world_.Round(0, std::string(200, 'x'), StopReason::kMaxTokens));
  EXPECT_EQ(AsRound(next).round, 1);
}

TEST_F(EpisodeTest, APromptThatIsTooLongOverflowsWithoutTokens) {
  EpisodeSpec spec = world_.Spec();
  spec.mutable_question()->set_question(std::string(97, 'x'));
  Episode episode(&world_.context, spec, 1);
  const EpisodeCommand end = episode.Begin();
  EXPECT_EQ(AsEnd(end).status(), EPISODE_STATUS_OVERFLOW);
  EXPECT_EQ(AsEnd(end).token_ids_size(), 0);
  EXPECT_EQ(AsEnd(end).components().format_reward(), -1);
  spec.mutable_question()->set_question(std::string(96, 'x'));
  EXPECT_EQ(AsRound(Episode(&world_.context, spec, 1).Begin()).new_token_ids.size(), 100u);
}

TEST_F(EpisodeTest, ARoundIsGrantedNoMoreThanTheSequenceHasRoomFor) {
  world_.context.limits.set_max_sequence_tokens(100);
  Episode episode = NewEpisode();
  EXPECT_EQ(AsRound(episode.Begin()).max_new_tokens, 80);
  const EpisodeCommand end =
      episode.RoundFinished(world_.Round(0, std::string(80, 'x'), StopReason::kMaxTokens));
  EXPECT_EQ(AsEnd(end).status(), EPISODE_STATUS_OVERFLOW);
  EXPECT_EQ(AsEnd(end).token_ids_size(), 100);
}

TEST_F(EpisodeTest, AnAnswerAtTheVeryEndOfTheSequenceCounts) {
  RoundResult round = world_.Round(0, kAnswer, StopReason::kStopString);
  world_.context.limits.set_max_sequence_tokens(20 + static_cast<int>(round.token_ids.size()));
  Episode episode = NewEpisode();
  episode.Begin();
  EXPECT_EQ(AsEnd(episode.RoundFinished(round)).status(), EPISODE_STATUS_ANSWERED);
}

TEST_F(EpisodeTest, AnObservationThatDoesNotFitOverflowsAndIsLeftOut) {
  world_.context.limits.set_max_sequence_tokens(80);
  Episode episode = SearchingEpisode();
  const EpisodeCommand end = episode.PoolCallFinished(FakePool::Reply(std::string(50, 'x'), 99));
  EXPECT_EQ(AsEnd(end).status(), EPISODE_STATUS_OVERFLOW);
  EXPECT_EQ(Text(AsEnd(end), PROVENANCE_OBSERVATION), "");
  EXPECT_EQ(AsEnd(end).components().cost_picousd(), 99);
}

TEST_F(EpisodeTest, NoCallIsPaidWhoseObservationCouldNotFit) {
  const int num_sampled = static_cast<int>(world_.Round(0, kSearch).token_ids.size());
  world_.context.limits.set_max_sequence_tokens(20 + num_sampled +
                                                6);  // tags and newlines alone are 6 tokens
  Episode episode = NewEpisode();
  episode.Begin();
  EXPECT_EQ(AsEnd(episode.RoundFinished(world_.Round(0, kSearch))).status(),
            EPISODE_STATUS_OVERFLOW);
}

TEST_F(EpisodeTest, AFailedCallEndsTheEpisodeUnscored) {
  for (CallOutcome outcome :
       {CALL_OUTCOME_RATE_LIMITED, CALL_OUTCOME_UNAVAILABLE, CALL_OUTCOME_TIMED_OUT,
        CALL_OUTCOME_REJECTED, CALL_OUTCOME_MALFORMED}) {
    Episode episode = SearchingEpisode();
    const EpisodeCommand end = episode.PoolCallFinished(FakePool::Failure(outcome));
    EXPECT_EQ(AsEnd(end).status(), EPISODE_STATUS_POOL_FAILED);
    EXPECT_EQ(AsEnd(end).pool_calls(0).outcome(), outcome);
    EXPECT_EQ(AsEnd(end).components().format_reward(), 0);
    EXPECT_EQ(AsEnd(end).components().em(), 0);
  }
}

TEST_F(EpisodeTest, ACancelledCallCancelsTheEpisode) {
  Episode episode = SearchingEpisode();
  const EpisodeCommand end = episode.PoolCallFinished(FakePool::Failure(CALL_OUTCOME_CANCELLED));
  EXPECT_EQ(AsEnd(end).status(), EPISODE_STATUS_CANCELLED);
}

TEST_F(EpisodeTest, ARefusalHasItsOwnObservation) {
  Episode episode = SearchingEpisode();
  PoolCall call = FakePool::Reply("partial text");
  call.set_outcome(CALL_OUTCOME_REFUSED);
  const EpisodeCommand next = episode.PoolCallFinished(call);
  EXPECT_EQ(Decode(AsRound(next).new_token_ids),
            "\n\n<information>The model refused to reply.</information>\n\n");
}

TEST_F(EpisodeTest, ATruncatedReplyIsMarked) {
  Episode episode = SearchingEpisode();
  PoolCall call = FakePool::Reply("It is Li");
  call.set_outcome(CALL_OUTCOME_TRUNCATED);
  const EpisodeCommand next = episode.PoolCallFinished(call);
  EXPECT_THAT(Decode(AsRound(next).new_token_ids), HasSubstr("It is Li [truncated]</information>"));
}

TEST_F(EpisodeTest, ALongReplyIsCutButStaysWholeInTheTrace) {
  Episode episode = SearchingEpisode();
  const std::string reply(500, 'x');
  const EpisodeCommand next = episode.PoolCallFinished(FakePool::Reply(reply));
  EXPECT_EQ(AsRound(next).new_token_ids.size(), 60u + 6u);
  EXPECT_THAT(Decode(AsRound(next).new_token_ids), HasSubstr("x [truncated]</information>"));
  EXPECT_EQ(AsEnd(episode.RoundFinished(world_.Round(1, kAnswer))).pool_calls(0).reply(), reply);
}

TEST_F(EpisodeTest, AForcedModelTakesTheCallAndLeavesThePolicysTokens) {
  EpisodeSpec spec = world_.Spec();
  spec.set_forced_model("sage");
  Episode episode = SearchingEpisode(spec);
  EXPECT_EQ(call_.model, "Sage");
  episode.PoolCallFinished(FakePool::Reply("x"));
  const EpisodeCommand end = episode.RoundFinished(world_.Round(1, kAnswer));
  EXPECT_EQ(AsEnd(end).actions(0).model(), "Atlas");
  EXPECT_THAT(Text(AsEnd(end), PROVENANCE_POLICY), HasSubstr("Atlas"));
  EXPECT_EQ(AsEnd(end).forced_model(), "sage");
}

TEST_F(EpisodeTest, ARandomModelIsDrawnFromTheEpisodesStream) {
  std::set<std::string> drawn;
  for (int i = 0; i < 20; ++i) {
    EpisodeSpec spec = world_.Spec("eval/000000/0000/" + std::to_string(i));
    spec.set_random_model(true);
    SearchingEpisode(spec);
    const std::string first = call_.model;
    SearchingEpisode(spec);
    EXPECT_EQ(call_.model, first);
    drawn.insert(first);
  }
  EXPECT_THAT(drawn, ElementsAre("Atlas", "Sage"));
}

TEST_F(EpisodeTest, EndingItEarlyKeepsWhatItHad) {
  Episode episode = SearchingEpisode();
  const Trajectory trajectory = episode.End(EPISODE_STATUS_CANCELLED);
  EXPECT_EQ(trajectory.status(), EPISODE_STATUS_CANCELLED);
  EXPECT_EQ(Text(trajectory, PROVENANCE_POLICY), kSearch);
}

TEST_F(EpisodeTest, PolicyTextOfRandomBytesIsRecordedAndInvalid) {
  Episode episode = NewEpisode();
  episode.Begin();
  RoundResult round = world_.Round(0, "");
  for (uint32_t id = 0; id < 199; ++id) {
    round.token_ids.push_back(id * 7 % 258);
    round.logprobs.push_back(-1);
    round.policy_versions.push_back(3);
  }
  round.stop_reason = StopReason::kMaxTokens;
  const EpisodeCommand next = episode.RoundFinished(round);
  EXPECT_THAT(Decode(AsRound(next).new_token_ids), HasSubstr("Invalid round"));
  Trajectory copy;
  EXPECT_TRUE(copy.ParseFromString(episode.End(EPISODE_STATUS_CANCELLED).SerializeAsString()));
}

TEST_F(EpisodeTest, TheTokensThatNameTheModelAreOnRecord) {
  Episode episode = SearchingEpisode();
  const Trajectory trajectory = episode.End(EPISODE_STATUS_CANCELLED);
  const Action& action = trajectory.actions(0);
  std::string name;
  for (int t = action.model_first_token(); t < action.model_end_token(); ++t) {
    name += world_.tokenizer.TokenBytes(trajectory.token_ids(t));
  }
  EXPECT_EQ(name, "Atlas");
  EXPECT_FALSE(action.is_trial());
}

TEST_F(EpisodeTest, ATrialsRoundIsGuidedToItsModel) {
  EpisodeSpec spec = EpisodeWorld::Spec();
  (*spec.mutable_trial_models())[0] = "Atlas";
  Episode episode(&world_.context, spec, /*attempt=*/1);
  const EpisodeCommand begin = episode.Begin();
  EXPECT_EQ(AsRound(begin).guided_text.after, "<search>");
  EXPECT_EQ(AsRound(begin).guided_text.text, "Atlas:");
  RoundResult round = world_.Round(0, kSearch);
  round.is_guided = true;
  episode.RoundFinished(round);
  const EpisodeCommand next = episode.PoolCallFinished(FakePool::Reply("It is Lima."));
  EXPECT_EQ(AsRound(next).guided_text.text, "");  // this round has no trial
  EXPECT_TRUE(episode.End(EPISODE_STATUS_CANCELLED).actions(0).is_trial());
}

// What the guide wrote was not the policy's choice, whatever became of the round; what the policy chose after it is no trial.
TEST_F(EpisodeTest, ATrialIsWhatTheGuideWrote) {
  const auto action_of = [&](const std::string& text) {
    EpisodeSpec spec = EpisodeWorld::Spec();
    (*spec.mutable_trial_models())[0] = "Atlas";
    Episode episode(&world_.context, spec, /*attempt=*/1);
    episode.Begin();
    RoundResult round = world_.Round(0, text);
    round.is_guided = true;
    episode.RoundFinished(round);
    const Trajectory trajectory = episode.End(EPISODE_STATUS_CANCELLED);
    std::string name;
    const Action action = trajectory.actions(0);
    for (int t = action.model_first_token(); t < action.model_end_token(); ++t) {
      name += world_.tokenizer.TokenBytes(trajectory.token_ids(t));
    }
    return std::pair(action, name);
  };
  for (const char* text : {"<think>a</think><search>Atlas:</search>",     // no query
                           "<think>a</think><search> Atlas: cut off"}) {  // out of tokens
    const auto [action, name] = action_of(text);
    EXPECT_EQ(action.kind(), ACTION_KIND_INVALID) << text;
    EXPECT_TRUE(action.is_trial()) << text;
    EXPECT_EQ(name, "Atlas") << text;
  }
  for (const char* text : {"<think>a <search>Atlas: x</think><search>Sage: y</search>",
                           "<think>a <search>Atlas: x</think><search>Atlas: y</search>"}) {
    const auto [action, name] = action_of(text);
    EXPECT_EQ(action.kind(), ACTION_KIND_SEARCH) << text;
    EXPECT_FALSE(action.is_trial()) << text;
    EXPECT_EQ(name, action.model()) << text;
  }
}

TEST_F(EpisodeTest, ARoundThatDidNotCallIsNoTrial) {
  EpisodeSpec spec = EpisodeWorld::Spec();
  (*spec.mutable_trial_models())[0] = "Atlas";
  Episode episode(&world_.context, spec, /*attempt=*/1);
  episode.Begin();
  const EpisodeCommand end = episode.RoundFinished(world_.Round(0, kAnswer));
  EXPECT_FALSE(AsEnd(end).actions(0).is_trial());
}

TEST_F(EpisodeTest, AQueryThatIsTooLongIsToldToThePolicyAndNoFailure) {
  Episode episode = SearchingEpisode();
  PoolCall call;
  call.set_outcome(CALL_OUTCOME_TOO_LONG);
  const EpisodeCommand command = episode.PoolCallFinished(call);
  EXPECT_THAT(Decode(AsRound(command).new_token_ids), HasSubstr("too long for this model"));
}

}  // namespace
}  // namespace routewright
