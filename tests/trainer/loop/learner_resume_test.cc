// How a run stops, and goes on from where it was.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/trainer/loop/learner_run.h"
#include "trainer/record/run_folder.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

class LearnerResumeTest : public LearnerTest {};

TEST_F(LearnerResumeTest, KilledAtAnyStepAndResumedHasTheBitsOfARunNeverStopped) {
  for (auto algorithm : {TrainerConfig::ALGORITHM_GRPO, TrainerConfig::ALGORITHM_PPO}) {
    const std::string name = TrainerConfig::Algorithm_Name(algorithm);
    RunConfig whole = Config(name);
    whole.mutable_trainer()->set_algorithm(algorithm);
    ASSERT_TRUE(Run(whole).ok());
    for (int64_t killed_at : {1, 2, 5}) {
      const std::string torn = name + std::to_string(killed_at);
      RunConfig config = whole;
      config.mutable_run()->set_name(torn);
      RunUntilKilledAt(config, killed_at);
      ASSERT_EQ(Run(config).value(), RunOutcome::kFinished);
      ExpectSameRuns(name, torn);
    }
  }
}

TEST_F(LearnerResumeTest, WhatWasWrittenAfterTheLastCheckpointIsWrittenAgain) {
  ASSERT_TRUE(Run(Config("whole")).ok());
  const RunConfig config = Config("torn");
  RunUntilKilledAt(config, 5);
  // As SIGKILL would leave it: no checkpoint of step 5, and a torn line.
  std::filesystem::remove_all(temp_ / "runs/torn/checkpoints/step-000005");
  std::ofstream(temp_ / "runs/torn/metrics.jsonl", std::ios::app) << R"({"step":5,"epi)";
  ASSERT_TRUE(Run(config).ok());
  EXPECT_EQ(record_.plans.front().step, 4);
  ExpectSameRuns("whole", "torn");
}

TEST_F(LearnerResumeTest, AStopSignalFinishesTheStepSavesAndIsResumedFrom) {
  ASSERT_TRUE(Run(Config("whole")).ok());
  const RunConfig config = Config("stopped");
  before_step_ = [this](const StepPlan& plan, const auto&) {
    is_stop_requested_ = plan.step == 2;
    return absl::OkStatus();
  };
  EXPECT_EQ(Run(config).value(), RunOutcome::kPreempted);
  EXPECT_EQ(Newest("stopped")->manifest().step(), 3);
  EXPECT_THAT(ReadFile("stopped", "learner.json"), HasSubstr("preempted"));
  before_step_ = {};
  is_stop_requested_ = false;
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
  ExpectSameRuns("whole", "stopped");
}

TEST_F(LearnerResumeTest, AStopSignalWithoutWorkersGivesTheStepUpAndLosesNothing) {
  ASSERT_TRUE(Run(Config("whole")).ok());
  const RunConfig config = Config("stopped");
  before_step_ = [this](const StepPlan& plan, const auto& should_go_on) {
    if (plan.step < 3) return absl::OkStatus();
    EXPECT_TRUE(should_go_on({.num_episodes = 12, .num_committed = 1, .num_workers = 0}));
    is_stop_requested_ = true;
    EXPECT_TRUE(should_go_on({.num_episodes = 12, .num_committed = 1, .num_workers = 1}));
    EXPECT_FALSE(should_go_on({.num_episodes = 12, .num_committed = 1, .num_workers = 0}));
    return absl::CancelledError("given up");
  };
  EXPECT_EQ(Run(config).value(), RunOutcome::kPreempted);
  EXPECT_EQ(Newest("stopped")->manifest().step(), 3);
  before_step_ = {};
  is_stop_requested_ = false;
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
  ExpectSameRuns("whole", "stopped");
}

TEST_F(LearnerResumeTest, ADamagedCheckpointIsPassedOverForTheOneBefore) {
  ASSERT_TRUE(Run(Config("whole")).ok());
  const RunConfig config = Config("torn");
  RunUntilKilledAt(config, 5);
  std::filesystem::resize_file(temp_ / "runs/torn/checkpoints/step-000005/policy/model.safetensors",
                               100);
  ASSERT_TRUE(Run(config).ok());
  EXPECT_EQ(record_.plans.front().step, 4);
  ExpectSameRuns("whole", "torn");
}

TEST_F(LearnerResumeTest, ARunThatGoesOnDoesNotPayForItsLastEvaluationAgain) {
  RunConfig longer = Config("longer");
  longer.mutable_trainer()->set_steps(8);
  ASSERT_TRUE(Run(longer).ok());
  const RunConfig config = Config("a");
  ASSERT_TRUE(Run(config).ok());
  longer.mutable_run()->set_name("a");
  ASSERT_EQ(Run(longer).value(), RunOutcome::kFinished);
  EXPECT_EQ(record_.plans.front().step, 6);
  EXPECT_EQ(record_.plans.front().episodes.size(), 12u);
  const auto at_once = Newest("longer"), in_two = Newest("a");
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(at_once->manifest().learner(),
                                                                 in_two->manifest().learner()));
  const auto a = TimelessMetrics("longer"), b = TimelessMetrics("a");
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {  // the names may be in another order
    EXPECT_EQ(nlohmann::json::parse(a[i]), nlohmann::json::parse(b[i]));
  }
}

TEST_F(LearnerResumeTest, ARunThatIsStartedAgainAtItsEndKeepsItsLastEvaluation) {
  ASSERT_TRUE(Run(Config("a")).ok());
  const auto lines = TimelessMetrics("a");
  ASSERT_TRUE(Run(Config("a")).ok());
  EXPECT_TRUE(record_.plans.empty());
  EXPECT_EQ(TimelessMetrics("a"), lines);
}

TEST_F(LearnerResumeTest, UnderOtherSettingsTheLastWeightsAreEvaluatedAgain) {
  const std::map<std::string, std::function<void(RunConfig&)>> changes = {
      {"reward", [](RunConfig& config) { config.mutable_reward()->set_cost_coefficient(0.3); }},
      {"temperature", [](RunConfig& config) { config.mutable_evaluation()->set_temperature(1); }},
  };
  for (const auto& [name, change] : changes) {
    RunConfig config = Config(name);
    ASSERT_TRUE(Run(config).ok());
    config.mutable_trainer()->set_steps(8);
    change(config);
    ASSERT_TRUE(Run(config).ok());
    EXPECT_EQ(record_.plans.front().episodes.size(), 12u + 5u) << name;
    const LearnerState learner = Newest(name)->manifest().learner();
    ASSERT_EQ(learner.evaluations_size(), 5) << name;  // 0, 2, 4, 6 and 8: one of each
    EXPECT_EQ(learner.evaluations(3).step(), 6) << name;
  }
}

TEST_F(LearnerResumeTest, AFaultInTheLastEvaluationCostsNoStep) {
  RunConfig config = Config("a");
  config.mutable_trainer()->mutable_checkpoint()->set_every_steps(0);
  RunUntilKilledAt(config, 6);
  EXPECT_EQ(Newest("a")->manifest().step(), 6);
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
}

TEST_F(LearnerResumeTest, AStopSignalInTheLastEvaluationEndsATrainingThatIsDone) {
  before_step_ = [this](const StepPlan& plan, const auto& should_go_on) -> absl::Status {
    if (plan.step < 6) return absl::OkStatus();
    is_stop_requested_ = true;
    EXPECT_FALSE(should_go_on({.num_episodes = 5, .num_committed = 1, .num_workers = 0}));
    return absl::CancelledError("given up");
  };
  EXPECT_EQ(Run(Config("a")).value(), RunOutcome::kFinished);
  EXPECT_EQ(Newest("a")->manifest().step(), 6);
  EXPECT_EQ(Newest("a")->manifest().learner().evaluations_size(), 3);
  EXPECT_EQ(TimelessMetrics("a").size(), 6u);
}

TEST_F(LearnerResumeTest, ResumeNoneStartsAnewAndPutsTheOldRunAside) {
  const RunConfig config = Config("a");
  ASSERT_TRUE(Run(config).ok());
  ASSERT_TRUE(Run(config, "none").ok());
  EXPECT_EQ(record_.plans.front().step, 0);
  EXPECT_TRUE(std::filesystem::exists(temp_ / "runs/a/previous-1/checkpoints/step-000006"));
  EXPECT_TRUE(std::filesystem::exists(temp_ / "runs/a/previous-1/metrics.jsonl"));
}

TEST_F(LearnerResumeTest, ASubmissionBeginsAnewOnce) {
  const RunConfig config = Config("a");
  ASSERT_TRUE(Run(config).ok());
  submission_ = "job 7";
  RunUntilKilledAt(config, 3, "none");
  EXPECT_EQ(record_.plans.front().step, 0);
  RecordFailedStart(FileSystem::Posix(), temp_ / "runs/a", absl::InternalError("no GPU"));
  RunUntilKilledAt(config, 5, "none");  // as a job that was queued again says it
  EXPECT_EQ(record_.plans.front().step, 3);
  submission_ = "job 8";
  RunUntilKilledAt(config, 1, "none");
  EXPECT_EQ(record_.plans.front().step, 0);
  submission_ = "";
  for (int i = 0; i < 2; ++i) {
    RunUntilKilledAt(config, 1, "none");
    EXPECT_EQ(record_.plans.front().step, 0);
  }
}

TEST_F(LearnerResumeTest, ASubmissionGoesBackToACheckpointOnce) {
  RunConfig config = Config("a");
  config.mutable_trainer()->mutable_checkpoint()->set_keep_last(10);
  ASSERT_TRUE(Run(config).ok());
  const std::string from = temp_ / "runs/a/checkpoints/step-000004";
  submission_ = "job 7";
  for (const char* name : {"a", "b"}) {  // the run's own, and another's
    config.mutable_run()->set_name(name);
    is_stop_requested_ = true;
    ASSERT_TRUE(Run(config, from).ok());  // ends before it has a later one
    is_stop_requested_ = false;
    RunUntilKilledAt(config, 5, from);
    EXPECT_EQ(record_.plans.front().step, 4);
    ASSERT_TRUE(Run(config, from).ok());
    EXPECT_EQ(record_.plans.front().step, 5);
  }
  std::filesystem::remove_all(from);  // as keep_last does
  config.mutable_trainer()->set_steps(8);
  ASSERT_TRUE(Run(config, from).ok());
  EXPECT_EQ(record_.plans.front().step, 6);
}

TEST_F(LearnerResumeTest, ResumeByFolderGoesBackAndTakesAnotherWayFromThere) {
  const RunConfig config = Config("a");
  ASSERT_TRUE(Run(config).ok());
  ASSERT_TRUE(Run(config, temp_ / "runs/a/checkpoints/step-000004").ok());
  EXPECT_EQ(record_.plans.front().step, 4);
  EXPECT_EQ(TimelessMetrics("a").size(), 6u + 1u);
  EXPECT_TRUE(std::filesystem::exists(temp_ / "runs/a/checkpoints/abandoned-step-000006"));
}

TEST_F(LearnerResumeTest, OtherQuestionsThanTheCheckpointsAreRefused) {
  RunConfig config = Config("a");
  RunUntilKilledAt(config, 3);
  config.mutable_data()->mutable_train(0)->set_max_questions(7);
  EXPECT_THAT(std::string(Run(config).status().message()),
              HasSubstr("made with other training questions"));
}

// The log says that the setting differs: then it is the setting that counts.
TEST_F(LearnerResumeTest, AFixedKlCoefficientIsTheConfigsInAResumedRunToo) {
  RunConfig config = Config("a");
  config.mutable_trainer()->mutable_loss()->set_kl_target(0);  // it does not adapt
  config.mutable_trainer()->mutable_loss()->set_kl_coefficient(0.25);
  ASSERT_TRUE(Run(config).ok());
  config.mutable_trainer()->set_steps(8);
  config.mutable_trainer()->mutable_loss()->set_kl_coefficient(0.5);
  ASSERT_TRUE(Run(config).ok());
  const auto lines = TimelessMetrics("a");
  EXPECT_EQ(nlohmann::json::parse(lines[0])["policy/kl_coefficient"], 0.25);
  EXPECT_EQ(nlohmann::json::parse(lines[7])["policy/kl_coefficient"], 0.5);
}

}  // namespace
}  // namespace routewright
