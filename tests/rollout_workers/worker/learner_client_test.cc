#include "rollout_workers/worker/learner_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <optional>
#include <thread>

#include "absl/time/clock.h"
#include "common/file_system.h"
#include "rollout_workers/worker/learner_retry.h"
#include "tests/common/temp_folder.h"
#include "tests/rollout_workers/episode/episode_world.h"
#include "tests/rollout_workers/worker/learner_fake_service.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class LearnerClientTest : public testing::Test {
 protected:
  LearnerClientTest()
      : learner_(TinyLlamaConfig()),
        service_(&learner_),
        client_(ConnectToLearner(FixedLearnerAddress(service_.address()), Secret("token"),
                                 absl::Seconds(20))) {}

  FakeLearner learner_;
  FakeLearnerService service_;
  std::unique_ptr<LearnerClient> client_;
};

TEST_F(LearnerClientTest, RegistersLeasesAndSubmits) {
  ASSERT_TRUE(client_->Register(RegisterRequest()).ok());
  learner_.Offer(EpisodeWorld::Spec("a"));
  LeaseRequest lease_request;
  lease_request.set_max_episodes(2);
  lease_request.set_learner_epoch(1);
  const auto leases = client_->LeaseEpisodes(lease_request);
  ASSERT_TRUE(leases.ok()) << leases.status();
  EXPECT_THAT(leases->leases(), SizeIs(1));
  SubmitRequest submit_request;
  submit_request.add_trajectories()->set_episode_id("a");
  submit_request.set_learner_epoch(1);
  const auto response = client_->SubmitTrajectories(submit_request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(response->acknowledged_episode_ids(), testing::ElementsAre("a"));
}

TEST_F(LearnerClientTest, StreamsWeightsFromAnOffset) {
  learner_.Publish(3, /*seed=*/1);
  EXPECT_EQ(client_->GetWeightManifest(3)->policy_version(), 3);
  EXPECT_EQ(client_->GetWeightManifest(4).status().code(), absl::StatusCode::kNotFound);
  FetchWeightsRequest request;
  request.set_policy_version(3);
  request.set_first_offset(500);
  uint64_t next = 500;
  const absl::Status status = client_->FetchWeights(request, [&](const WeightChunk& chunk) {
    EXPECT_EQ(chunk.offset(), next);
    next += chunk.data().size();
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(next, client_->GetWeightManifest(3)->total_bytes());
}

TEST_F(LearnerClientTest, ATakerThatRefusesAChunkEndsTheStream) {
  learner_.Publish(3, /*seed=*/1);
  FetchWeightsRequest request;
  request.set_policy_version(3);
  const absl::Status status = client_->FetchWeights(
      request, [](const WeightChunk&) { return absl::DataLossError("bad chunk"); });
  EXPECT_EQ(status, absl::DataLossError("bad chunk"));
}

TEST_F(LearnerClientTest, ErrorsNameTheLearnersAddress) {
  learner_.RefuseRegistration(absl::FailedPreconditionError("another config"));
  const absl::Status status = client_->Register(RegisterRequest()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(service_.address() + ": another config"));
}

TEST_F(LearnerClientTest, ALearnerThatIsNotThereIsATransportFailure) {
  const auto client =
      ConnectToLearner(FixedLearnerAddress("127.0.0.1:1"), Secret("token"), absl::Seconds(5));
  EXPECT_TRUE(IsTransportFailure(client->Register(RegisterRequest()).status()));
}

TEST_F(LearnerClientTest, ShutdownEndsTheCallsUnderWayAndLaterOnesButTheLast) {
  LeaseRequest request;
  request.set_wait_ms(60000);
  request.add_active_episode_ids("x");
  request.set_learner_epoch(1);
  absl::Status status;
  std::optional<std::jthread> waiter([&] { status = client_->LeaseEpisodes(request).status(); });
  ASSERT_TRUE(learner_.WaitForActive("x"));  // the call has arrived
  client_->Shutdown();
  waiter.reset();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(client_->Register(RegisterRequest()).status().code(), absl::StatusCode::kCancelled);
  SubmitRequest last;
  last.set_learner_epoch(1);
  EXPECT_TRUE(client_->SubmitOnLeaving(last, absl::Seconds(20)).ok());
}

class LearnerInFileTest : public LearnerClientTest {
 protected:
  LearnerInFileTest()
      : next_learner_(TinyLlamaConfig()),
        next_service_(&next_learner_),
        path_(folder_ / "learner.address"),
        follower_(ConnectToLearner(
            [this, address = LearnerAddressInFile(path_)] {
              ++num_looks_;
              return address();
            },
            Secret("token"), absl::Seconds(20))) {}
  void Write(const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), path_, content).ok());
  }

  FakeLearner next_learner_;
  FakeLearnerService next_service_;
  const TempFolder folder_;
  const std::string path_;
  std::atomic<int> num_looks_ = 0;
  std::unique_ptr<LearnerClient> follower_;
};

TEST_F(LearnerInFileTest, WithoutAnAddressThereIsNoLearnerYet) {
  absl::Status status = follower_->Register(RegisterRequest()).status();
  EXPECT_TRUE(IsTransportFailure(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no learner has written " + path_));
  for (const char* content : {"", "\n", "host", "host:port\n", "127.0.0.1:99999\n"}) {
    Write(content);
    status = follower_->Register(RegisterRequest()).status();
    EXPECT_TRUE(IsTransportFailure(status)) << content;
    EXPECT_THAT(std::string(status.message()), HasSubstr("is not HOST:PORT")) << content;
  }
  Write(service_.address() + "\n");
  EXPECT_TRUE(follower_->Register(RegisterRequest()).ok());
}

TEST_F(LearnerInFileTest, FollowsALearnerThatIsElsewhereThoughTheOneBeforeStillAnswers) {
  Write(service_.address() + "\n");
  ASSERT_TRUE(follower_->Register(RegisterRequest()).ok());
  LeaseRequest request;
  request.set_wait_ms(60000);
  request.add_active_episode_ids("x");
  request.set_learner_epoch(1);
  absl::Status status;
  std::optional<std::jthread> waiter([&] { status = follower_->LeaseEpisodes(request).status(); });
  ASSERT_TRUE(learner_.WaitForActive("x"));
  next_learner_.RefuseRegistration(absl::FailedPreconditionError("the next"));
  Write(next_service_.address() + "\n");
  waiter.reset();  // would take a minute
  EXPECT_TRUE(IsTransportFailure(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no longer at " + service_.address()));
  EXPECT_TRUE(IsTransportFailure(follower_->LeaseEpisodes(request).status()));  // as all do now
  EXPECT_THAT(std::string(follower_->Register(RegisterRequest()).status().message()),
              HasSubstr(next_service_.address() + ": the next"));
  next_learner_.Offer(EpisodeWorld::Spec("a"));
  LeaseRequest next;
  next.set_max_episodes(1);
  next.set_learner_epoch(1);
  const auto leases = follower_->LeaseEpisodes(next);
  ASSERT_TRUE(leases.ok()) << leases.status();
  EXPECT_THAT(leases->leases(), SizeIs(1));
}

TEST_F(LearnerInFileTest, StaysWhereItIsWhileTheAddressIsGone) {
  Write(service_.address() + "\n");
  ASSERT_TRUE(follower_->Register(RegisterRequest()).ok());
  learner_.Publish(3, /*seed=*/1);
  ASSERT_EQ(std::remove(path_.c_str()), 0);
  const absl::Time limit = absl::Now() + absl::Minutes(1);
  const int before = num_looks_;
  while (num_looks_ < before + 3 && absl::Now() < limit) absl::SleepFor(absl::Milliseconds(5));
  ASSERT_GE(num_looks_, before + 3);
  EXPECT_TRUE(follower_->GetWeightManifest(3).ok());
  EXPECT_TRUE(follower_->Register(RegisterRequest()).ok());
}

TEST(LearnerRetryTest, TriesAgainOnlyWhatFailedInTransport) {
  int attempts = 0;
  const std::stop_source stop;
  const auto fail_twice = [&] {
    return ++attempts <= 2 ? absl::UnavailableError("gone") : absl::NotFoundError("an answer");
  };
  EXPECT_EQ(RetryTransportFailures(fail_twice, absl::Seconds(60), stop.get_token()),
            absl::NotFoundError("an answer"));
  EXPECT_EQ(attempts, 3);
}

TEST(LearnerRetryTest, GivesUpWhenPatienceIsOver) {
  int attempts = 0;
  const std::stop_source stop;
  const auto fail = [&] {
    ++attempts;
    return absl::DeadlineExceededError("slow");
  };
  EXPECT_EQ(RetryTransportFailures(fail, absl::ZeroDuration(), stop.get_token()),
            absl::DeadlineExceededError("slow"));
  EXPECT_EQ(attempts, 1);
}

TEST(LearnerRetryTest, AStopEndsThePause) {
  std::stop_source stop;
  const auto fail_and_stop = [&] {
    stop.request_stop();
    return absl::UnavailableError("gone");
  };
  EXPECT_EQ(
      RetryTransportFailures(fail_and_stop, absl::InfiniteDuration(), stop.get_token()).code(),
      absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace routewright
