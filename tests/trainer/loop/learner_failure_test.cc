// How a run fails, and what it leaves on record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/config/config_loader.h"
#include "tests/trainer/loop/learner_run.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

class LearnerFailureTest : public LearnerTest {};

TEST_F(LearnerFailureTest, ALearnerWhoseRunAnotherHasTakenOverEndsAndLeavesItAlone) {
  const std::string other = R"({"state":"running","step":3,"message":"","learner":"host2:7:1"})";
  before_step_ = [&](const StepPlan& plan, const auto&) {
    if (plan.step == 3) std::ofstream(temp_ / "runs/shared/learner.json") << other;
    return absl::OkStatus();
  };
  const absl::Status status = Run(Config("shared")).status();
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("taken over by learner host2:7:1"));
  EXPECT_EQ(ReadFile("shared", "learner.json"), other);
  EXPECT_EQ(TimelessMetrics("shared").size(), 3u);
  EXPECT_EQ(Newest("shared")->manifest().step(), 2);
}

TEST_F(LearnerFailureTest, AFailureBeforeTheFirstStepIsOnRecordUnlessTheRunIsBeingMade) {
  const RunConfig config = Config("a");
  const std::string record = temp_ / "runs/a/learner.json";
  ASSERT_TRUE(FileSystem::Posix().CreateFolders(temp_ / "runs/a").ok());
  const std::string running = R"({"state":"running","step":4,"message":"","learner":"host2:7:1"})";
  ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), record, running).ok());
  EXPECT_FALSE(Run(config, "/no/such/checkpoint").ok());
  EXPECT_EQ(ReadFile("a", "learner.json"), running);
  ASSERT_TRUE(FileSystem::Posix().RemoveAll(record).ok());
  EXPECT_FALSE(Run(config, "/no/such/checkpoint").ok());
  EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr(R"("state":"failed")"));
  EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr("/no/such/checkpoint"));
}

TEST_F(LearnerFailureTest, WhatALibraryThrowsIsOnRecord) {
  before_step_ = [](const StepPlan& plan, const auto&) -> absl::Status {
    if (plan.step == 3) throw std::runtime_error("no memory");
    return absl::OkStatus();
  };
  const absl::Status status = Run(Config("a")).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("failed in a library: no memory"));
  EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr(R"("state":"failed","step":3)"));
}

TEST_F(LearnerFailureTest, ASpentBudgetEndsTheRunAndLosesNothing) {
  RunConfig config = Config("a");
  config.mutable_run()->set_budget_usd(2);
  const std::string ledger = PoolLedgerFolder(config);
  std::filesystem::create_directories(ledger);
  before_step_ = [&](const StepPlan& plan, const auto& should_go_on) {
    if (plan.step != 3) return absl::OkStatus();
    std::ofstream(ledger + "/worker.jsonl") << R"({"cost_picousd":"2500000000000"})"
                                            << "\n";
    const absl::Time limit = absl::Now() + absl::Minutes(1);
    while (should_go_on({}) && absl::Now() < limit) absl::SleepFor(absl::Milliseconds(20));
    return absl::CancelledError("given up");
  };
  const absl::Status spent = Run(config).status();
  EXPECT_EQ(spent.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(spent.message()), HasSubstr("run.budget_usd is $2: raise it"));
  EXPECT_TRUE(record_.is_finished);  // the workers were told
  EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr(R"("state":"failed","step":3)"));

  before_step_ = {};
  EXPECT_EQ(Run(config).status(), spent);  // a restart has no budget of its own
  EXPECT_THAT(record_.plans, ::testing::IsEmpty());
  config.mutable_run()->set_budget_usd(3);
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
  EXPECT_EQ(record_.plans.front().step, 3);
  EXPECT_EQ(Run(Config("b")).value(), RunOutcome::kFinished);
  ExpectSameRuns("a", "b");
}

TEST_F(LearnerFailureTest, ABudgetThatIsSpentInTheLastEvaluationEndsATrainingThatIsDone) {
  RunConfig config = Config("a");
  config.mutable_run()->set_budget_usd(2);
  std::filesystem::create_directories(PoolLedgerFolder(config));
  before_step_ = [&](const StepPlan& plan, const auto& should_go_on) {
    if (plan.step != 6) return absl::OkStatus();
    std::ofstream(PoolLedgerFolder(config) + "/worker.jsonl")
        << R"({"cost_picousd":"2500000000000"})"
        << "\n";
    const absl::Time limit = absl::Now() + absl::Minutes(1);
    while (should_go_on({}) && absl::Now() < limit) absl::SleepFor(absl::Milliseconds(20));
    return absl::CancelledError("given up");
  };
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
  EXPECT_EQ(Newest("a")->manifest().step(), 6);
}

TEST_F(LearnerFailureTest, AnEvaluationOfWhichNoEpisodeGotThroughIsNone) {
  change_ = [](const EpisodeSpec& spec, Trajectory& trajectory) {
    if (spec.purpose() == PURPOSE_EVAL) trajectory.set_status(EPISODE_STATUS_POOL_FAILED);
  };
  EXPECT_EQ(Run(Config("a")).value(), RunOutcome::kFinished);
  EXPECT_EQ(Newest("a")->manifest().learner().evaluations_size(), 0);
}

TEST_F(LearnerFailureTest, EpisodesThatFailedInThePoolLeaveTheBatchAndAreCounted) {
  change_ = [](const EpisodeSpec& spec, Trajectory& trajectory) {
    // Three of one question's four, and one of another's.
    for (const char* id : {"train/000000/0000/00", "train/000000/0000/01", "train/000000/0000/02",
                           "train/000000/0001/03"}) {
      if (spec.episode_id() == id) trajectory.set_status(EPISODE_STATUS_POOL_FAILED);
    }
  };
  RunConfig config = Config("a");
  config.mutable_trainer()->set_steps(1);
  ASSERT_TRUE(Run(config).ok());
  const auto line = nlohmann::json::parse(TimelessMetrics("a").front());
  EXPECT_EQ(line["episode/pool_failed"], 4);
  EXPECT_EQ(line["episode/count"], 8);
  EXPECT_EQ(line["episode/left_out"],
            5);  // and the last of its group, which has nothing to be compared with
}

TEST_F(LearnerFailureTest, APoolThatFailsAltogetherStopsTheRunBeforeTheStepAndSaysWhy) {
  change_ = [](const EpisodeSpec& spec, Trajectory& trajectory) {
    if (spec.step() < 3) return;
    trajectory.set_status(EPISODE_STATUS_POOL_FAILED);
    trajectory.mutable_pool_calls(0)->set_error("connection refused");
  };
  const RunConfig config = Config("a");
  const absl::Status status = Run(config).status();
  EXPECT_THAT(std::string(status.message()),
              ::testing::AllOf(HasSubstr("no episode of step 3"), HasSubstr("12 of 12"),
                               HasSubstr("connection refused")));
  EXPECT_EQ(Newest("a")->manifest().step(), 3);
  change_ = {};
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
  ASSERT_TRUE(Run(Config("whole")).ok());
  ExpectSameRuns("whole", "a");
}

// Ranks with different configs: tests/integration/bad_input_test.py.
TEST_F(LearnerFailureTest, OffloadOfARunOnTheCpuIsRefusedBeforeAnythingIsDone) {
  for (const auto offload : {ShardingConfig::OFFLOAD_OPTIMIZER, ShardingConfig::OFFLOAD_ALL}) {
    RunConfig config = Config("a");
    config.mutable_trainer()->mutable_sharding()->set_offload(offload);
    const absl::Status status = Run(config).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                ::testing::AllOf(HasSubstr("trainer.sharding.offload"), HasSubstr("on the CPU"),
                                 HasSubstr("leave it out")));
    EXPECT_FALSE(std::filesystem::exists(temp_ / "runs/a/config.resolved.yaml"));
    EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr(R"("state":"failed","step":0)"));
  }
}

TEST_F(LearnerFailureTest, AFailedStartLeavesTheStepOfTheRunOnRecord) {
  RunConfig config = Config("a");
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
  config.mutable_trainer()->mutable_sharding()->set_offload(ShardingConfig::OFFLOAD_ALL);
  EXPECT_FALSE(Run(config).ok());
  EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr(R"("state":"failed","step":6)"));
}

TEST_F(LearnerFailureTest, AMissingPolicyFolderIsNamed) {
  RunConfig config = Config("a");
  config.mutable_policy()->set_path("/nowhere/policy");
  EXPECT_THAT(std::string(Run(config).status().message()), HasSubstr("/nowhere/policy"));
}

}  // namespace
}  // namespace routewright
