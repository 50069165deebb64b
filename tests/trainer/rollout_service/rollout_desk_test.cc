#include "trainer/rollout_service/rollout_desk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "tests/common/fault_file_system.h"
#include "tests/common/temp_folder.h"
#include "tests/trainer/experience/trajectories.h"

namespace routewright {
namespace {

using testing::MakeSpec;
using testing::MakeTrajectory;

class RolloutDeskTest : public ::testing::Test {
 protected:
  static RolloutDeskOptions Options(Clock* clock) {
    RolloutDeskOptions options;
    options.run_name = "test";
    options.config_digest = 42;
    options.vocabulary_size = 100;
    options.lease_timeout = absl::Seconds(60);
    options.clock = clock;
    return options;
  }
  static WorkerIdentity Identity(const std::string& id) {
    WorkerIdentity worker;
    worker.set_worker_id(id);
    worker.set_worker_epoch(1);
    return worker;
  }
  LeaseResponse Lease(const std::string& id, int max_episodes, int wait_ms = 0,
                      const std::vector<std::string>& active = {}) {
    LeaseRequest request;
    *request.mutable_worker() = Identity(id);
    request.set_max_episodes(max_episodes);
    request.set_wait_ms(wait_ms);
    for (const std::string& episode : active) request.add_active_episode_ids(episode);
    LeaseResponse result;
    absl::Notification done;
    desk_.Lease(
        request, [] { return false; },
        [&](LeaseResponse response) {
          result = std::move(response);
          done.Notify();
        });
    done.WaitForNotification();
    return result;
  }
  SubmitResponse Submit(const std::string& id, const Trajectory& trajectory) {
    SubmitRequest request;
    *request.mutable_worker() = Identity(id);
    *request.add_trajectories() = trajectory;
    return desk_.Submit(request);
  }
  void SetUp() override { desk_.publisher().Publish(1, std::make_shared<const PolicyWeights>()); }
  StepPlan Plan(int n) {
    StepPlan plan;
    plan.policy_version = 1;
    for (int i = 0; i < n; ++i) plan.episodes.push_back(MakeSpec("e" + std::to_string(i)));
    return plan;
  }

  ManualClock clock_;
  RolloutDesk desk_{Options(&clock_)};
};

TEST_F(RolloutDeskTest, AWorkerWithAnotherConfigIsRefused) {
  RegisterRequest request;
  *request.mutable_worker() = Identity("w1");
  request.set_config_digest(43);
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(absl::IsFailedPrecondition(desk_.Register(request).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(desk_.Register(request).status()));
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log,
              ::testing::HasSubstr("worker w1 runs with other prompt, episode or pool settings"));
  EXPECT_EQ(log.find("refused"), log.rfind("refused")) << "said more than once";
  request.set_config_digest(42);
  EXPECT_EQ(desk_.Register(request)->policy_version(), 1);
}

TEST_F(RolloutDeskTest, AWorkerOfAnEarlierLearnerIsToldToRegisterAgain) {
  RegisterRequest request;
  *request.mutable_worker() = Identity("w1");
  request.set_config_digest(42);
  const uint64_t epoch = desk_.Register(request)->learner_epoch();
  EXPECT_TRUE(desk_.CheckLearnerEpoch(Identity("w1"), epoch).ok());
  EXPECT_TRUE(absl::IsAborted(desk_.CheckLearnerEpoch(Identity("w1"), epoch - 1)));
}

TEST_F(RolloutDeskTest, AWaitingRequestIsAnsweredWhenAStepBegins) {
  const StepPlan plan = Plan(2);
  std::jthread worker([&] {
    LeaseResponse response;
    while (response.leases_size() == 0) response = Lease("w1", 8, /*wait_ms=*/30000);
    for (const EpisodeLease& lease : response.leases()) Submit("w1", MakeTrajectory(lease.spec()));
  });
  const auto step = desk_.CollectStep(plan, [](const CollectProgress&) { return true; });
  ASSERT_TRUE(step.ok());
  ASSERT_EQ(step->trajectories.size(), 2u);
  EXPECT_EQ(step->trajectories[1].episode_id(), "e1");
}

TEST_F(RolloutDeskTest, AStepSaysHowLongItsWorkersWaitedForLeases) {
  const auto report = [this](const std::string& id, double waited_s) {
    LeaseRequest request;
    *request.mutable_worker() = Identity(id);
    request.set_waited_for_lease_s(waited_s);
    desk_.Lease(
        request, [] { return false; }, [](const LeaseResponse&) {});
  };
  const auto make_step = [this] {
    return desk_.CollectStep(Plan(0), [](const auto&) { return true; });
  };
  report("w1", 100.0);  // it had waited for an earlier learner
  report("w2", 0.0);
  report("w1", 103.0);
  report("w2", 1.0);
  EXPECT_EQ(make_step()->worker_wait_s, 2.0);
  report("w1", 103.5);
  report("w1", 104.0);
  EXPECT_EQ(make_step()->worker_wait_s, 0.5);
  EXPECT_EQ(make_step()->worker_wait_s, 0.0);
}

TEST_F(RolloutDeskTest, TheFirstWorkerLeavesAFairShare) {
  Lease("w1", 0);
  Lease("w2", 0);
  std::jthread learner([&] {
    (void)desk_.CollectStep(Plan(10),
                            [&](const CollectProgress& p) { return p.num_committed < 1; });
  });
  LeaseResponse first;
  while (first.leases_size() == 0) first = Lease("w1", 10, /*wait_ms=*/30000);
  EXPECT_EQ(first.leases_size(), 5);
  EXPECT_EQ(Lease("w2", 10).leases_size(), 5);
  Submit("w1", MakeTrajectory(first.leases(0).spec()));
}

TEST_F(RolloutDeskTest, ForgedTrajectoriesAreDroppedAndTheirEpisodesRunAgain) {
  std::jthread learner(
      [&] { (void)desk_.CollectStep(Plan(1), [](const CollectProgress&) { return true; }); });
  LeaseResponse lease;
  while (lease.leases_size() == 0) lease = Lease("w1", 1, 30000);
  Trajectory forged = MakeTrajectory(lease.leases(0).spec());
  forged.set_token_ids(0, 5000);
  EXPECT_EQ(Submit("w1", forged).acknowledged_episode_ids_size(), 1);
  const LeaseResponse again = Lease("w2", 1);
  ASSERT_EQ(again.leases_size(), 1);
  Submit("w2", MakeTrajectory(again.leases(0).spec()));
}

TEST_F(RolloutDeskTest, AGivenUpStepCancelsItsLeases) {
  const auto step = desk_.CollectStep(Plan(3), [](const CollectProgress&) { return false; });
  EXPECT_TRUE(absl::IsCancelled(step.status()));
  EXPECT_EQ(Lease("w1", 8, 0, {"e0"}).cancelled_episode_ids_size(), 1);
}

TEST_F(RolloutDeskTest, FinishTellsWorkersToLeave) {
  Lease("w1", 0);
  std::jthread worker([&] {
    while (!Lease("w1", 8, /*wait_ms=*/30000).is_finished()) {
    }
  });
  desk_.Finish(absl::Seconds(30));
}

class JournalledDeskTest : public RolloutDeskTest {
 protected:
  // A desk as a learner at this place makes one, with weights that `seed` draws.
  std::unique_ptr<RolloutDesk> Start(FileSystem& files, float weight = 0.5f) {
    journal_ = std::make_unique<TrajectoryJournal>(files, temp_.path() + "/journal");
    RolloutDeskOptions options = Options(&clock_);
    options.journal = journal_.get();
    auto desk = std::make_unique<RolloutDesk>(options);
    desk->publisher().Publish(1, std::make_shared<const PolicyWeights>(
                                     std::map<std::string, HostTensor>{{"a", {{1}, {weight}}}}));
    return desk;
  }
  static SubmitResponse SubmitTo(RolloutDesk& desk, const Trajectory& trajectory) {
    SubmitRequest request;
    *request.mutable_worker() = Identity("w1");
    *request.add_trajectories() = trajectory;
    return desk.Submit(request);
  }
  // Gives the step up once `submitted` are in.
  static absl::Status CollectUntil(RolloutDesk& desk, const StepPlan& plan,
                                   const std::vector<Trajectory>& submitted) {
    size_t next = 0;
    return desk
        .CollectStep(plan,
                     [&](const CollectProgress&) {
                       if (next == submitted.size()) return false;
                       SubmitTo(desk, submitted[next++]);
                       return true;
                     })
        .status();
  }

  TempFolder temp_;
  std::unique_ptr<TrajectoryJournal> journal_;
};

TEST_F(JournalledDeskTest, WhatWasAcknowledgedCountsAfterTheLearnerWasKilled) {
  const StepPlan plan = Plan(3);
  Trajectory paid = MakeTrajectory(plan.episodes[1]);
  paid.set_worker_id("of the first life");
  Trajectory failed = MakeTrajectory(plan.episodes[2]);
  failed.set_status(EPISODE_STATUS_POOL_FAILED);
  auto desk = Start(FileSystem::Posix());
  EXPECT_TRUE(absl::IsCancelled(CollectUntil(*desk, plan, {paid, failed})));
  desk = Start(FileSystem::Posix());
  const auto step = desk->CollectStep(plan, [&](const CollectProgress& progress) {
    EXPECT_GE(progress.num_committed, 1);  // and the failed one is tried again
    SubmitTo(*desk, MakeTrajectory(plan.episodes[0]));
    SubmitTo(*desk, MakeTrajectory(plan.episodes[1]));
    SubmitTo(*desk, MakeTrajectory(plan.episodes[2]));
    return true;
  });
  ASSERT_TRUE(step.ok()) << step.status();
  EXPECT_EQ(step->replayed, 1);
  EXPECT_EQ(step->duplicates, 1);
  EXPECT_EQ(step->trajectories[1].worker_id(), "of the first life");
  EXPECT_EQ(step->trajectories[2].status(), EPISODE_STATUS_ANSWERED);
}

TEST_F(JournalledDeskTest, TrajectoriesOfOtherWeightsDoNotCount) {
  const StepPlan plan = Plan(2);
  auto desk = Start(FileSystem::Posix());
  EXPECT_FALSE(CollectUntil(*desk, plan, {MakeTrajectory(plan.episodes[0])}).ok());
  desk = Start(FileSystem::Posix(), /*weight=*/0.25f);
  int committed = -1;
  EXPECT_FALSE(desk->CollectStep(plan,
                                 [&](const CollectProgress& progress) {
                                   committed = progress.num_committed;
                                   return false;
                                 })
                   .ok());
  EXPECT_EQ(committed, 0);
}

TEST_F(JournalledDeskTest, WhatCannotBeWrittenIsNotAcknowledgedAndEndsTheStep) {
  const StepPlan plan = Plan(1);
  FaultFileSystem files;
  const auto desk = Start(files);
  absl::Status status;
  int acknowledged = -1;
  status = desk->CollectStep(plan,
                             [&](const CollectProgress&) {
                               files.At(/*n=*/1, Fault::kDiskFull);
                               acknowledged = SubmitTo(*desk, MakeTrajectory(plan.episodes[0]))
                                                  .acknowledged_episode_ids_size();
                               return true;
                             })
               .status();
  EXPECT_EQ(acknowledged, 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

TEST_F(RolloutDeskTest, WorkersAreSeenWithWhatCameFromThem) {
  RegisterRequest request;
  *request.mutable_worker() = Identity("w1");
  request.set_config_digest(42);
  request.set_code_version("1.2.3");
  ASSERT_TRUE(desk_.Register(request).ok());
  std::jthread learner(
      [&] { EXPECT_TRUE(desk_.CollectStep(Plan(1), [](const auto&) { return true; }).ok()); });
  const LeaseResponse lease = Lease("w1", 1, /*wait_ms=*/20'000);
  ASSERT_EQ(lease.leases_size(), 1);
  Lease("w1", 0, 0, {"e0"});
  EXPECT_EQ(desk_.ViewWorkers().workers.at(0).active_episodes, 1);
  Submit("w1", MakeTrajectory(lease.leases(0).spec()));
  learner.join();
  const WorkersView view = desk_.ViewWorkers();
  EXPECT_EQ(view.newest_version, 1);
  ASSERT_EQ(view.workers.size(), 1u);
  EXPECT_EQ(view.workers[0].id, "w1");
  EXPECT_EQ(view.workers[0].code_version, "1.2.3");
  EXPECT_EQ(view.workers[0].trajectories, 1);
  EXPECT_EQ(view.workers[0].policy_version, 1);
  EXPECT_TRUE(view.workers[0].is_live);
  clock_.Advance(absl::Seconds(61));
  EXPECT_FALSE(desk_.ViewWorkers().workers[0].is_live);
  EXPECT_EQ(desk_.ViewWorkers().workers[0].silent_s, 61);
}

}  // namespace
}  // namespace routewright
