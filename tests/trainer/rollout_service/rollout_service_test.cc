// The service over its wire, as a worker's client meets it.
#include "trainer/rollout_service/rollout_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/config/config_digest.h"
#include "common/config/config_loader.h"
#include "common/file_system.h"
#include "common/secret.h"
#include "rollout_workers/worker/learner_client.h"
#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

class RolloutServiceTest : public ::testing::Test {
 protected:
  RolloutServiceTest() {
    config_.mutable_run()->set_name("run");
    config_.mutable_run()->set_output_dir(temp_.path());
  }

  std::unique_ptr<TrajectorySource> Start() {
    auto source = StartRolloutService(config_, /*vocabulary_size=*/10);
    EXPECT_TRUE(source.ok()) << source.status();
    return *std::move(source);
  }

  std::unique_ptr<LearnerClient> Connect(const Secret& token) {
    std::string address = *FileSystem::Posix().Read(RunFolder(config_) + "/learner.address");
    address.pop_back();
    return ConnectToLearner(FixedLearnerAddress(address), token, absl::Seconds(20));
  }

  absl::StatusOr<RegisterResponse> Register(const Secret& token) {
    RegisterRequest request;
    request.mutable_worker()->set_worker_id("w");
    request.mutable_worker()->set_worker_epoch(1);
    request.set_config_digest(*WorkerConfigDigest(config_));
    return Connect(token)->Register(request);
  }

  Secret Token() { return *LoadSharedSecret(LearnerTokenFile(config_), "token"); }

  const TempFolder temp_;
  RunConfig config_;
};

TEST_F(RolloutServiceTest, AWorkerThatShowsTheRunsTokenIsLetIn) {
  const auto source = Start();
  const auto registered = Register(Token());
  ASSERT_TRUE(registered.ok()) << registered.status();
  EXPECT_EQ(registered->run_name(), "run");
}

TEST_F(RolloutServiceTest, NobodyElseIsAnsweredWhateverTheyAsk) {
  const auto source = Start();
  for (const Secret& token : {Secret(), Secret("guess"), Secret(Token().Reveal() + "0")}) {
    const auto client = Connect(token);
    const absl::Status answers[] = {
        client->Register({}).status(),
        client->LeaseEpisodes({}).status(),
        client->SubmitTrajectories({}).status(),
        client->GetWeightManifest(0).status(),
        client->FetchWeights({}, [](const WeightChunk&) { return absl::OkStatus(); }),
    };
    for (const absl::Status& answer : answers) {
      EXPECT_EQ(answer.code(), absl::StatusCode::kUnauthenticated) << answer;
      EXPECT_THAT(std::string(answer.message()), HasSubstr("learner.token"));
    }
  }
  EXPECT_TRUE(source->ViewWorkers().workers.empty());
}

TEST_F(RolloutServiceTest, TheTokenIsPrivateAndTheRunsForAllItsStarts) {
  std::string first;
  {
    const auto source = Start();
    first = Token().Reveal();
    EXPECT_EQ(first.size(), 32u);
    struct stat info = {};
    ASSERT_EQ(::stat(LearnerTokenFile(config_).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
  }
  const auto source = Start();
  EXPECT_EQ(Token().Reveal(), first);
  EXPECT_TRUE(Register(Secret(first)).ok());
  RunConfig other = config_;
  other.mutable_run()->set_name("other");
  ASSERT_TRUE(FileSystem::Posix().CreateFolders(RunFolder(other)).ok());
  EXPECT_NE(LoadOrMakeSharedSecret(LearnerTokenFile(other))->Reveal(), first);
}

TEST_F(RolloutServiceTest, AFileThatHoldsNoWordIsNoTokenAndIsNotPrinted) {
  ASSERT_TRUE(FileSystem::Posix().CreateFolders(RunFolder(config_)).ok());
  for (const char* content : {"hunter2\nhunter3\n", "hunter2 hunter3\n", "hunter2\x01\n"}) {
    ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), LearnerTokenFile(config_), content).ok());
    const absl::Status status = LoadSharedSecret(LearnerTokenFile(config_), "token").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), ::testing::Not(HasSubstr("hunter")));
  }
}

TEST_F(RolloutServiceTest, ATokenThatOthersCouldReadOrThatIsEmptyIsReplaced) {
  ASSERT_TRUE(FileSystem::Posix().CreateFolders(RunFolder(config_)).ok());
  const std::string path = LearnerTokenFile(config_);
  for (const auto& [content, mode] : {std::pair("known-to-all\n", 0644), std::pair("", 0600)}) {
    ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), path, content).ok());
    ASSERT_EQ(::chmod(path.c_str(), static_cast<mode_t>(mode)), 0);
    const auto token = LoadOrMakeSharedSecret(path);
    ASSERT_TRUE(token.ok()) << token.status();
    EXPECT_EQ(token->Reveal().size(), 32u);
    EXPECT_EQ(Token().Reveal(), token->Reveal());
  }
}

TEST_F(RolloutServiceTest, WithoutARoomForTheTokenNothingIsServed) {
  config_.mutable_run()->set_output_dir(temp_ / "file");
  ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), temp_ / "file", "").ok());
  EXPECT_FALSE(StartRolloutService(config_, /*vocabulary_size=*/10).ok());
}

}  // namespace
}  // namespace routewright
