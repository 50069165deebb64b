// The worker against a learner behind real gRPC, with a scripted policy and a fake pool.
#include "rollout_workers/worker/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <thread>

#include "tests/rollout_workers/episode/episode_world.h"
#include "tests/rollout_workers/generator/scripted_generator.h"
#include "tests/rollout_workers/pool/fake_pool.h"
#include "tests/rollout_workers/worker/learner_fake_service.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kSearch[] = "<think>who</think><search>Atlas: q</search>";
constexpr char kAnswer[] = "<think>so</think><answer>Lima</answer>";

// Episodes named "call…" search once, then answer; all others answer at once.
std::string CallThenAnswer(const RoundRequest& request) {
  return request.episode_id.rfind("call", 0) == 0 && request.round == 0 ? kSearch : kAnswer;
}

class WorkerTest : public testing::Test {
 protected:
  WorkerTest()
      : learner_(TinyLlamaConfig()),
        service_(&learner_),
        layout_(TinyLlamaConfig(), HeadKind::kLanguageModel),
        pool_([](const PoolRequest&) { return FakePool::Reply("It is Lima."); }) {
    options_.identity.set_worker_id("w1");
    options_.identity.set_worker_epoch(77);
    options_.config.set_reconnect_timeout_s(30);
    learner_.Publish(1, /*seed=*/1);
  }
  ~WorkerTest() override { EndWorker(); }

  void StartWorker() {
    client_ = ConnectToLearner(FixedLearnerAddress(service_.address()), Secret("token"),
                               absl::Seconds(20));
    worker_.emplace(options_, &world_.context, &layout_, MakeScripted, &pool_, client_.get());
    thread_.emplace([this] { status_ = worker_->Run(); });
  }
  // Waits until the worker has ended by itself.
  absl::Status Join() {
    thread_.reset();
    return status_;
  }
  void EndWorker() {
    if (thread_.has_value()) worker_->Stop();
    thread_.reset();
  }
  static EpisodeSpec Spec(const std::string& id, int64_t policy_version = 1) {
    EpisodeSpec spec = EpisodeWorld::Spec(id);
    spec.set_policy_version(policy_version);
    return spec;
  }
  void WaitForPoolCalls(size_t count) {
    while (pool_.requests().size() < count) std::this_thread::yield();
  }
  static absl::StatusOr<std::unique_ptr<Generator>> MakeScripted(
      std::shared_ptr<const PolicyWeights> weights, int64_t version) {
    auto generator = std::make_unique<ScriptedGenerator>(CallThenAnswer);
    const absl::Status status = generator->SetWeights(std::move(weights), version);
    if (!status.ok()) return status;
    return generator;
  }

  EpisodeWorld world_;
  FakeLearner learner_;
  FakeLearnerService service_;
  const ParameterLayout layout_;
  FakePool pool_;
  WorkerOptions options_;
  std::unique_ptr<LearnerClient> client_;
  std::optional<Worker> worker_;
  absl::Status status_;
  std::optional<std::jthread> thread_;  // last: dies first
};

TEST_F(WorkerTest, RunsLeasesUntilTheRunIsFinished) {
  learner_.Offer(Spec("call/a"), /*attempt=*/3);
  learner_.Offer(Spec("direct/b"));
  StartWorker();
  std::set<std::string> ids;
  std::set<uint64_t> sequence_numbers;
  for (const Trajectory& trajectory : learner_.WaitForSubmitted(2)) {
    ids.insert(trajectory.episode_id());
    sequence_numbers.insert(trajectory.sequence_number());
    EXPECT_EQ(trajectory.status(), EPISODE_STATUS_ANSWERED);
    EXPECT_EQ(trajectory.worker_id(), "w1");
    EXPECT_EQ(trajectory.worker_epoch(), 77u);
    EXPECT_EQ(trajectory.attempt(), trajectory.episode_id() == "call/a" ? 3 : 1);
    EXPECT_EQ(trajectory.policy_versions(trajectory.policy_versions_size() - 1), 1);
  }
  EXPECT_THAT(ids, testing::ElementsAre("call/a", "direct/b"));
  EXPECT_THAT(sequence_numbers, testing::ElementsAre(1, 2));
  learner_.FinishRun();
  EXPECT_TRUE(Join().ok()) << status_;
}

TEST_F(WorkerTest, WeightsAreSwappedOnlyWhenNoEpisodeOfTheVersionBeforeRuns) {
  pool_.Hold();
  learner_.Offer(Spec("call/old", 1));
  StartWorker();
  WaitForPoolCalls(1);
  learner_.Publish(2, /*seed=*/2);
  learner_.Offer(Spec("direct/new", 2));
  ASSERT_TRUE(learner_.WaitForActive("direct/new"));
  pool_.FinishAll();
  const std::vector<Trajectory> submitted = learner_.WaitForSubmitted(2);
  ASSERT_THAT(submitted, SizeIs(2));
  EXPECT_EQ(submitted[0].episode_id(), "call/old");
  for (const Trajectory& trajectory : submitted) {
    const int64_t wanted = trajectory.episode_id() == "call/old" ? 1 : 2;
    for (int t = 0; t < trajectory.token_ids_size(); ++t) {
      if (trajectory.provenance(t) == PROVENANCE_POLICY) {
        EXPECT_EQ(trajectory.policy_versions(t), wanted);
      }
    }
  }
}

TEST_F(WorkerTest, BrokenAndDamagedWeightStreamsGoOnWhereTheyStopped) {
  learner_.DamageWeights(/*count=*/1, /*breaks=*/3);
  learner_.Offer(Spec("direct/a"));
  StartWorker();
  EXPECT_THAT(learner_.WaitForSubmitted(1), SizeIs(1));
  EXPECT_GE(learner_.num_weight_streams(), 4);
}

TEST_F(WorkerTest, LeasesOfAVersionThatIsGoneAreLetGo) {
  options_.config.set_max_episodes(1);
  learner_.Offer(Spec("direct/gone", 9));
  StartWorker();
  ASSERT_TRUE(learner_.WaitForLeased("direct/gone"));
  learner_.Offer(Spec("direct/a", 1));  // needs the one slot
  const std::vector<Trajectory> submitted = learner_.WaitForSubmitted(1);
  ASSERT_THAT(submitted, SizeIs(1));
  EXPECT_EQ(submitted[0].episode_id(), "direct/a");
}

TEST_F(WorkerTest, ATrajectoryIsSentAgainUntilItIsAcknowledged) {
  learner_.LoseSubmissions(2);
  learner_.Offer(Spec("direct/a"));
  StartWorker();
  const std::vector<Trajectory> submitted = learner_.WaitForSubmitted(3);
  ASSERT_THAT(submitted, SizeIs(3));
  for (const Trajectory& copy : submitted) {
    EXPECT_EQ(copy.SerializeAsString(), submitted[0].SerializeAsString());
  }
  learner_.Offer(Spec("direct/b"));
  EXPECT_EQ(learner_.WaitForSubmitted(4).back().episode_id(), "direct/b");
}

TEST_F(WorkerTest, ACancelledEpisodeIsDropped) {
  pool_.Hold();
  learner_.Offer(Spec("call/a"));
  StartWorker();
  WaitForPoolCalls(1);
  learner_.Cancel("call/a");
  ASSERT_TRUE(learner_.WaitForInactive("call/a"));
  pool_.FinishAll();
  learner_.Offer(Spec("direct/b"));
  const std::vector<Trajectory> submitted = learner_.WaitForSubmitted(1);
  ASSERT_THAT(submitted, SizeIs(1));
  EXPECT_EQ(submitted[0].episode_id(), "direct/b");
}

TEST_F(WorkerTest, NeverHoldsMoreThanItsSlots) {
  options_.config.set_max_episodes(3);
  for (int i = 0; i < 20; ++i)
    learner_.Offer(Spec((i % 2 ? "call/" : "direct/") + std::to_string(i)));
  StartWorker();
  EXPECT_THAT(learner_.WaitForSubmitted(20), SizeIs(20));
  EXPECT_LE(learner_.most_active(), 3u);
}

TEST_F(WorkerTest, AfterTheLearnersRestartEverythingOfTheOneBeforeIsDropped) {
  pool_.Hold();
  learner_.Offer(Spec("call/a"));
  StartWorker();
  WaitForPoolCalls(1);
  learner_.Stop();
  learner_.Publish(1, /*seed=*/5);  // other weights of the same number: the worker must fetch them
  learner_.Restart();
  learner_.Offer(Spec("call/a"));
  WaitForPoolCalls(2);
  EXPECT_EQ(learner_.num_registrations(), 2);
  EXPECT_EQ(learner_.num_weight_streams(), 2);
  pool_.FinishAll();
  const std::vector<Trajectory> submitted = learner_.WaitForSubmitted(1);
  ASSERT_THAT(submitted, SizeIs(1));
  EXPECT_EQ(submitted[0].status(), EPISODE_STATUS_ANSWERED);
}

TEST_F(WorkerTest, WithoutALearnerItGivesUpAndSaysWhere) {
  options_.config.set_reconnect_timeout_s(0);
  learner_.Stop();
  StartWorker();
  const absl::Status status = Join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(service_.address()));
  EXPECT_THAT(std::string(status.message()), HasSubstr("reconnect_timeout_s"));
}

TEST_F(WorkerTest, ALearnerThatRefusesTheConfigEndsIt) {
  learner_.RefuseRegistration(absl::FailedPreconditionError("another config"));
  StartWorker();
  EXPECT_EQ(Join().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(WorkerTest, StoppedItGivesBackWhatItHolds) {
  pool_.Hold();
  learner_.Offer(Spec("call/a"));
  StartWorker();
  WaitForPoolCalls(1);
  worker_->Stop();
  EXPECT_TRUE(Join().ok()) << status_;
  const std::vector<Trajectory> submitted = learner_.WaitForSubmitted(1);
  ASSERT_THAT(submitted, SizeIs(1));
  EXPECT_EQ(submitted[0].episode_id(), "call/a");
  EXPECT_EQ(submitted[0].status(), EPISODE_STATUS_CANCELLED);
}

TEST_F(WorkerTest, StoppedWhileNoLearnerAnswersItLeavesAtOnce) {
  options_.config.set_reconnect_timeout_s(100000);
  learner_.Stop();
  StartWorker();
  worker_->Stop();
  EXPECT_TRUE(Join().ok()) << status_;
}

TEST_F(WorkerTest, ALedgerThatCannotBeWrittenEndsIt) {
  pool_.Break(absl::DataLossError("disk full"));
  learner_.Offer(Spec("call/a"));
  StartWorker();
  EXPECT_EQ(Join().message(), "disk full");
}

TEST_F(WorkerTest, AnotherPolicyThanTheLearnersEndsIt) {
  ModelConfig other = TinyLlamaConfig();
  other.num_layers = 2;
  const ParameterLayout layout(other, HeadKind::kLanguageModel);
  client_ =
      ConnectToLearner(FixedLearnerAddress(service_.address()), Secret("token"), absl::Seconds(20));
  Worker worker(options_, &world_.context, &layout, MakeScripted, &pool_, client_.get());
  learner_.Offer(Spec("direct/a"));
  const absl::Status status = worker.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.layers.2"));
}

}  // namespace
}  // namespace routewright
