#include "trainer/rollout_service/lease_table.h"

#include <gtest/gtest.h>

#include "tests/trainer/experience/trajectories.h"

namespace routewright {
namespace {

using testing::MakeSpec;
using testing::MakeTrajectory;
using CommitResult = LeaseTable::CommitResult;

WorkerIdentity Worker(const std::string& id, uint64_t epoch = 1) {
  WorkerIdentity worker;
  worker.set_worker_id(id);
  worker.set_worker_epoch(epoch);
  return worker;
}

class LeaseTableTest : public ::testing::Test {
 protected:
  LeaseTableTest() {
    for (const char* id : {"a", "b", "c"}) plan_.episodes.push_back(MakeSpec(id));
    table_.StartStep(plan_);
  }
  Trajectory Of(int i, int attempt = 1) { return MakeTrajectory(plan_.episodes[i], attempt); }

  StepPlan plan_;
  LeaseTable table_{absl::Seconds(10), /*max_attempts=*/2};
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(LeaseTableTest, LeasesInPlanOrderAndNeverTwice) {
  const auto first = table_.Lease(Worker("w1"), 2, now_);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].spec().episode_id(), "a");
  EXPECT_EQ(first[1].spec().episode_id(), "b");
  const auto second = table_.Lease(Worker("w2"), 5, now_);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].spec().episode_id(), "c");
  EXPECT_FALSE(table_.has_waiting());
}

TEST_F(LeaseTableTest, TheStepComesBackInPlanOrderWhateverTheOrderOfCommits) {
  table_.Lease(Worker("w1"), 3, now_);
  for (int i : {2, 0, 1}) EXPECT_EQ(table_.Commit(Of(i)), CommitResult::kCommitted);
  ASSERT_TRUE(table_.is_complete());
  const CollectedStep step = table_.TakeStep();
  ASSERT_EQ(step.trajectories.size(), 3u);
  EXPECT_EQ(step.trajectories[0].episode_id(), "a");
  EXPECT_EQ(step.trajectories[2].episode_id(), "c");
}

TEST_F(LeaseTableTest, ATrajectoryCountsOnce) {
  table_.Lease(Worker("w1"), 3, now_);
  EXPECT_EQ(table_.Commit(Of(0)), CommitResult::kCommitted);
  EXPECT_EQ(table_.Commit(Of(0)), CommitResult::kDuplicate);
  EXPECT_EQ(table_.num_committed(), 1);
  EXPECT_EQ(table_.Commit(MakeTrajectory(MakeSpec("of another step"))), CommitResult::kUnwanted);
}

TEST_F(LeaseTableTest, ASilentWorkersLeasesAreGivenOutAgain) {
  table_.Lease(Worker("w1"), 3, now_);
  table_.Renew(Worker("w1"), {"a"}, now_ + absl::Seconds(9));
  table_.Expire(now_ + absl::Seconds(11));
  const auto again = table_.Lease(Worker("w2"), 5, now_ + absl::Seconds(11));
  ASSERT_EQ(again.size(), 2u);  // "a" was renewed
  EXPECT_EQ(again[0].attempt(), 2);
  // The silent worker comes back: it may keep a, must drop b.
  EXPECT_EQ(table_.Renew(Worker("w1"), {"a", "b"}, now_ + absl::Seconds(12)),
            std::vector<std::string>{"b"});
}

TEST_F(LeaseTableTest, LateWorkOfAnExpiredLeaseIsWelcomeOnce) {
  table_.Lease(Worker("w1"), 1, now_);
  table_.Expire(now_ + absl::Seconds(11));
  EXPECT_EQ(table_.Commit(Of(0)), CommitResult::kCommitted);
  const auto rest = table_.Lease(Worker("w2"), 5, now_);
  ASSERT_EQ(rest.size(), 2u);
  EXPECT_EQ(rest[0].spec().episode_id(), "b");
}

TEST_F(LeaseTableTest, ANewEpochOfAWorkerReleasesTheOldOnesLeases) {
  table_.Lease(Worker("w1", 1), 3, now_);
  EXPECT_FALSE(table_.has_waiting());
  table_.ReleaseEarlierEpochs(Worker("w1", 2));
  EXPECT_EQ(table_.Lease(Worker("w1", 2), 5, now_).size(), 3u);
}

TEST_F(LeaseTableTest, APoolFailureIsTriedAgainThenReturnedAsIs) {
  table_.Lease(Worker("w1"), 1, now_);
  Trajectory failed = Of(0, 1);
  failed.set_status(EPISODE_STATUS_POOL_FAILED);
  EXPECT_EQ(table_.Commit(failed), CommitResult::kTryAgain);
  EXPECT_EQ(table_.Commit(failed),
            CommitResult::kTryAgain);  // sent again: one failure all the same
  ASSERT_EQ(table_.Lease(Worker("w1"), 1, now_)[0].attempt(), 2);
  failed.set_attempt(2);
  EXPECT_EQ(table_.Commit(failed), CommitResult::kCommitted);
  EXPECT_EQ(table_.num_committed(), 1);
}

TEST_F(LeaseTableTest, ARefusedTrajectoryGivesItsEpisodeBack) {
  table_.Lease(Worker("w1"), 3, now_);
  table_.Refuse("b");
  const auto again = table_.Lease(Worker("w2"), 5, now_);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].spec().episode_id(), "b");
}

}  // namespace
}  // namespace routewright
