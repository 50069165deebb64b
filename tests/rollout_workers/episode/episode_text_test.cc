#include "rollout_workers/episode/episode_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/rollout_workers/episode/episode_world.h"
#include "tests/rollout_workers/pool/fake_pool.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class EpisodeTextTest : public testing::Test {
 protected:
  // One search, answered with `reply`, then an answer.
  Trajectory Run(PoolCall reply) {
    Episode episode(&world_.context, EpisodeWorld::Spec(), /*attempt=*/1);
    episode.Begin();
    const EpisodeCommand call =
        episode.RoundFinished(world_.Round(0, "<think>a</think><search>Sage: Peru?</search>"));
    reply.set_call_id(std::get<PoolRequest>(call).call_id);
    reply.set_model("Sage");
    const EpisodeCommand next = episode.PoolCallFinished(reply);
    if (std::holds_alternative<Trajectory>(next)) return std::get<Trajectory>(next);
    return std::get<Trajectory>(
        episode.RoundFinished(world_.Round(1, "<think>b</think><answer>Lima</answer>")));
  }
  EpisodeWorld world_;
};

TEST_F(EpisodeTextTest, ShowsRoundsCallsCostsAndTheAnswer) {
  const std::string text =
      EpisodeToText(Run(FakePool::Reply("It is Lima.", 3'400'000)), world_.tokenizer);
  EXPECT_THAT(text, HasSubstr("round 1\n    <think>a</think><search>Sage: Peru?</search>\n"));
  EXPECT_THAT(text, HasSubstr("── Sage: ok, 10 tokens in, 5 out, $0.00000340"));
  EXPECT_THAT(text, HasSubstr("    It is Lima.\nround 2\n"));
  EXPECT_THAT(text, HasSubstr("answer\n    Lima\n1 calls, $0.00000340"));
}

TEST_F(EpisodeTextTest, SaysWhyAnEpisodeHasNoAnswer) {
  const Trajectory trajectory =
      Run(FakePool::Failure(CALL_OUTCOME_UNAVAILABLE, "connection refused"));
  const std::string text = EpisodeToText(trajectory, world_.tokenizer);
  EXPECT_THAT(text, HasSubstr("unavailable"));
  EXPECT_THAT(text, HasSubstr("connection refused"));
  EXPECT_THAT(text, HasSubstr("pool failed"));
}

TEST_F(EpisodeTextTest, ACommittedEpisodeStandsBetweenItsQuestionAndItsScores) {
  Trajectory trajectory = Run(FakePool::Reply("It is Lima."));
  trajectory.mutable_question()->set_question("Capital\x1b of Peru?");
  trajectory.mutable_question()->add_golden_answers("Lima");
  trajectory.mutable_components()->set_em(1.0);
  trajectory.mutable_components()->set_f1(1.0);
  trajectory.set_reward(0.75);
  const std::string text = CommittedEpisodeToText(trajectory, world_.tokenizer);
  EXPECT_TRUE(text.starts_with("question\n    Capital\\x1b of Peru?\ngolden answers\n")) << text;
  EXPECT_THAT(text, HasSubstr(EpisodeToText(trajectory, world_.tokenizer)));
  EXPECT_TRUE(text.ends_with("reward 0.750, EM 1, F1 1.00\n")) << text;
}

TEST_F(EpisodeTextTest, NothingThatAModelSaysReachesTheTerminalAsAControlSequence) {
  const std::string text = EpisodeToText(Run(FakePool::Reply("a\x1b[2Jb\rc")), world_.tokenizer);
  EXPECT_THAT(text, HasSubstr("a\\x1b[2Jb\\x0dc"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(
      EpisodeToText(Run(FakePool::Reply("\u00e9 \U0001f600 \u009b31m \xff")), world_.tokenizer),
      HasSubstr("\u00e9 \U0001f600 \\xc2\\x9b31m \\xff\n"));
}

}  // namespace
}  // namespace routewright
