#include "trainer/experience/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr TrajectoryRules kRules = {
    .vocabulary_size = 100, .min_policy_version = 3, .max_policy_version = 3};

// `pattern`: p prompt, s sampled, o observation. Token ids count up from first_id.
Trajectory MakeTrajectory(const std::string& pattern, uint32_t first_id = 10) {
  Trajectory trajectory;
  trajectory.set_episode_id("train/000002/0000/01");
  trajectory.set_reward(0.5);
  for (size_t t = 0; t < pattern.size(); ++t) {
    const bool is_sampled = pattern[t] == 's';
    trajectory.add_token_ids(first_id + t);
    trajectory.add_provenance(is_sampled          ? PROVENANCE_POLICY
                              : pattern[t] == 'o' ? PROVENANCE_OBSERVATION
                                                  : PROVENANCE_PROMPT);
    trajectory.add_logprobs(is_sampled ? -0.25f * t : 0.0f);
    trajectory.add_policy_versions(is_sampled ? 3 : -1);
  }
  return trajectory;
}

std::string Refusal(const Trajectory& trajectory) {
  Batch batch;
  const absl::Status status = AppendTrajectory(trajectory, kRules, 0, batch);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(batch.num_trajectories(), 0);
  return std::string(status.message());
}

TEST(BatchTest, ScoresPolicyTokensOnlyEachFromTheRowBeforeIt) {
  Batch batch;
  ASSERT_TRUE(AppendTrajectory(MakeTrajectory("ppssoos"), kRules, 4, batch).ok());
  ASSERT_TRUE(AppendTrajectory(MakeTrajectory("ps", 50), kRules, 5, batch).ok());
  EXPECT_THAT(batch.offsets, ElementsAre(0, 7, 9));
  EXPECT_THAT(batch.scored_offsets, ElementsAre(0, 3, 4));
  EXPECT_THAT(batch.scored, ElementsAre(2, 3, 6, 1));
  EXPECT_THAT(batch.sampler_logprobs, ElementsAre(-0.5f, -0.75f, -1.5f, -0.25f));
  EXPECT_THAT(batch.groups, ElementsAre(4, 5));

  const MicroBatch micro = BuildMicroBatch(batch, std::vector<int>{0, 1});
  EXPECT_THAT(micro.offsets, ElementsAre(0, 7, 9));
  EXPECT_THAT(micro.positions, ElementsAre(0, 1, 2, 3, 4, 5, 6, 0, 1));
  EXPECT_THAT(micro.rows, ElementsAre(1, 2, 5, 7));
  EXPECT_THAT(micro.targets, ElementsAre(12, 13, 16, 51));
  EXPECT_THAT(micro.scored, ElementsAre(0, 1, 2, 3));
}

TEST(BatchTest, AMicroBatchOfOneTrajectoryPointsIntoTheWholeBatch) {
  Batch batch;
  ASSERT_TRUE(AppendTrajectory(MakeTrajectory("ppss"), kRules, 0, batch).ok());
  ASSERT_TRUE(AppendTrajectory(MakeTrajectory("pss", 50), kRules, 0, batch).ok());
  const MicroBatch micro = BuildMicroBatch(batch, std::vector<int>{1});
  EXPECT_THAT(micro.token_ids, ElementsAre(50, 51, 52));
  EXPECT_THAT(micro.rows, ElementsAre(0, 1));
  EXPECT_THAT(micro.scored, ElementsAre(2, 3));
}

TEST(BatchTest, SurvivesTheJourneyToTheOtherRanks) {
  Batch batch;
  ASSERT_TRUE(AppendTrajectory(MakeTrajectory("ppssoos"), kRules, 4, batch).ok());
  const std::string bytes = SerializeBatch(batch);
  const Batch copy = ParseBatch(bytes).value();
  EXPECT_EQ(copy.token_ids, batch.token_ids);
  EXPECT_EQ(copy.scored, batch.scored);
  EXPECT_EQ(copy.sampler_logprobs, batch.sampler_logprobs);
  EXPECT_EQ(copy.rewards, batch.rewards);
  EXPECT_EQ(SerializeBatch(copy), bytes);
  EXPECT_EQ(ParseBatch(std::string_view(bytes).substr(0, bytes.size() - 1)).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(BatchTest, RefusesWhatCannotBeLearntFromByEpisodeAndReason) {
  Trajectory short_logprobs = MakeTrajectory("pss");
  short_logprobs.mutable_logprobs()->RemoveLast();
  EXPECT_THAT(Refusal(short_logprobs),
              ::testing::AllOf(HasSubstr("train/000002/0000/01"), HasSubstr("equally many")));

  Trajectory not_a_number = MakeTrajectory("pss");
  not_a_number.set_logprobs(1, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(Refusal(not_a_number), HasSubstr("token 1 has log-probability nan"));

  Trajectory positive = MakeTrajectory("pss");
  positive.set_logprobs(2, 0.5f);
  EXPECT_THAT(Refusal(positive), HasSubstr("token 2 has log-probability 0.5"));

  Trajectory stale = MakeTrajectory("pss");
  stale.set_policy_versions(2, 2);
  EXPECT_THAT(Refusal(stale), HasSubstr("policy version 2; wanted 3 to 3"));

  EXPECT_THAT(Refusal(MakeTrajectory("ps", 99)), HasSubstr("token 1 has id 100"));
  EXPECT_THAT(Refusal(MakeTrajectory("sss")), HasSubstr("first token"));
  EXPECT_THAT(Refusal(MakeTrajectory("ppoo")), HasSubstr("no token is the policy's"));
  EXPECT_THAT(Refusal(MakeTrajectory("")), HasSubstr("no token is the policy's"));
}

TEST(BatchTest, DemonstrationsNeedNeitherLogprobsNorVersions) {
  Trajectory demonstration = MakeTrajectory("pss");
  demonstration.clear_logprobs();
  demonstration.clear_policy_versions();
  Batch batch;
  TrajectoryRules rules = kRules;
  rules.is_recorded = true;
  EXPECT_TRUE(AppendTrajectory(demonstration, rules, 0, batch).ok());
  EXPECT_THAT(batch.sampler_logprobs, ElementsAre(0.0f, 0.0f));
}

}  // namespace
}  // namespace routewright
