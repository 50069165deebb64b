#include "trainer/learner.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/config_loader.h"
#include "policy/policy_folder.h"
#include "tests/common/temp_folder.h"
#include "tests/policy/tiny_tokenizer.h"
#include "tests/trainer/fake_trajectory_source.h"
#include "tests/trainer/tiny_model.h"
#include "trainer/checkpoint/checkpoint_reader.h"
#include "trainer/checkpoint/checkpoint_store.h"
#include "trainer/comm/local_communicator.h"
#include "trainer/live_page/live_state.h"

namespace switchyard {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LearnerTest : public ::testing::Test {
 protected:
  LearnerTest() {
    const ModelConfig model = TinyModelConfig();
    EXPECT_TRUE(SavePolicyFolder(temp_ / "policy", model, TensorsOf(TinyModelWeights(model, 1)),
                                 WeightFormat::kF32, /*tokenizer_folder=*/"")
                    .ok());
    for (const char* name : {"train", "held_out"}) {
      std::ofstream file(temp_ / (std::string(name) + ".jsonl"));
      for (int i = 0; i < 10; ++i) {
        file << R"({"id":")" << name << i << R"(","question":"q","golden_answers":["a"]})"
             << "\n";
      }
    }
  }

  // A deterministic GRPO run of six steps with everything in it that a checkpoint must carry on.
  RunConfig Config(const std::string& name) {
    RunConfig config;
    config.mutable_run()->set_name(name);
    config.mutable_run()->set_output_dir(temp_ / "runs");
    config.mutable_run()->set_seed(5);
    config.mutable_run()->set_deterministic(true);
    config.mutable_policy()->set_path(temp_ / "policy");
    config.mutable_policy()->set_device(PolicyConfig::DEVICE_CPU);
    config.mutable_data()->add_train()->set_path(temp_ / "train.jsonl");
    config.mutable_data()->add_held_out()->set_path(temp_ / "held_out.jsonl");
    config.mutable_reward()->set_cost_coefficient(0.6);
    config.mutable_reward()->set_cost_window(20);
    for (const char* model : {"Atlas", "Sage"}) {
      config.mutable_pool()->add_models()->set_name(model);
    }
    TrainerConfig& trainer = *config.mutable_trainer();
    trainer.set_steps(6);
    trainer.set_questions_per_step(3);
    trainer.set_episodes_per_question(4);
    trainer.set_evaluate_every(2);
    trainer.set_evaluate_questions(5);
    trainer.set_record_trajectories(0.5);
    trainer.mutable_checkpoint()->set_every_steps(2);
    trainer.mutable_optimizer()->set_learning_rate(1e-3);
    trainer.mutable_loss()->set_kl_coefficient(0.1);
    trainer.mutable_loss()->set_kl_target(0.01);
    trainer.mutable_loss()->set_kl_horizon(100);
    return config;
  }

  absl::StatusOr<RunOutcome> Run(const RunConfig& config, const std::string& resume = "auto") {
    record_ = SourceRecord();
    LearnerParts parts;
    parts.config = &config;
    parts.communicator = communicator_.get();
    parts.code_version = "1.0+ours";
    parts.resume = resume;
    parts.is_stop_requested = [this] { return is_stop_requested_; };
    parts.live_state = live_state_;
    parts.files = &FileSystem::Posix();
    parts.open_source =
        [this](int64_t vocabulary_size) -> absl::StatusOr<std::unique_ptr<TrajectorySource>> {
      return std::make_unique<FakeTrajectorySource>(vocabulary_size, &record_, change_,
                                                    before_step_);
    };
    return RunLearner(parts);
  }

  // Runs until the process "dies" before step `step`.
  void RunUntilKilledAt(const RunConfig& config, int64_t step) {
    before_step_ = [step](const StepPlan& plan, const auto&) {
      return plan.step == step ? absl::InternalError("killed") : absl::OkStatus();
    };
    EXPECT_EQ(Run(config).status().message(), "killed");
    before_step_ = {};
  }

  std::string ReadFile(const std::string& name, const std::string& file) const {
    std::ifstream stream(temp_ / ("runs/" + name + "/" + file));
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
  }

  // metrics.jsonl without times.
  std::vector<std::string> TimelessMetrics(const std::string& name) const {
    std::vector<std::string> lines;
    std::stringstream text(ReadFile(name, "metrics.jsonl"));
    for (std::string line; std::getline(text, line);) {
      nlohmann::ordered_json kept;
      const auto metrics = nlohmann::ordered_json::parse(line);
      for (const auto& [key, value] : metrics.items()) {
        const bool is_time = key.ends_with("_s") || key.ends_with("_ms");
        if (!is_time && !key.starts_with("workers/")) kept[key] = value;
      }
      lines.push_back(kept.dump());
    }
    return lines;
  }

  std::unique_ptr<CheckpointReader> Newest(const std::string& name) const {
    const CheckpointStore store(FileSystem::Posix(), temp_ / ("runs/" + name + "/checkpoints"), {});
    return CheckpointReader::OpenWhole(FileSystem::Posix(),
                                       store.FolderOf(store.Steps().value().back()))
        .value();
  }

  void ExpectSameRuns(const std::string& a, const std::string& b) const {
    EXPECT_EQ(TimelessMetrics(a), TimelessMetrics(b));
    const auto x = Newest(a), y = Newest(b);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(x->manifest().learner(),
                                                                   y->manifest().learner()));
    for (const CheckpointFile& file : x->manifest().files()) {  // their checksums are in there
      if (file.name() == "config.resolved.yaml") continue;      // has the run's name
      const auto same =
          std::find_if(y->manifest().files().begin(), y->manifest().files().end(),
                       [&](const CheckpointFile& other) {
                         return google::protobuf::util::MessageDifferencer::Equals(file, other);
                       });
      EXPECT_NE(same, y->manifest().files().end()) << file.name();
    }
    for (const auto& entry :
         std::filesystem::directory_iterator(temp_ / ("runs/" + a + "/trajectories"))) {
      const std::string file = "trajectories/" + entry.path().filename().string();
      EXPECT_EQ(ReadFile(a, file), ReadFile(b, file));
    }
  }

  TempFolder temp_;
  std::unique_ptr<Communicator> communicator_ = NewLocalCommunicator();
  SourceRecord record_;
  FakeTrajectorySource::Change change_;
  FakeTrajectorySource::BeforeStep before_step_;
  bool is_stop_requested_ = false;
  LiveState* live_state_ = nullptr;
};

TEST_F(LearnerTest, RunsEveryStepOnFreshWeightsAndLeavesACheckpoint) {
  EXPECT_EQ(Run(Config("a")).value(), RunOutcome::kFinished);
  EXPECT_THAT(record_.published, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_TRUE(record_.is_finished);
  EXPECT_EQ(TimelessMetrics("a").size(), 6u);
  const auto newest = Newest("a");
  EXPECT_EQ(newest->manifest().step(), 6);
  EXPECT_EQ(newest->manifest().policy_version(), 7);
  EXPECT_EQ(newest->manifest().learner().question_cursor(), 18u);
  EXPECT_EQ(newest->manifest().learner().episodes_committed(), 6 * 12 + 3 * 5);
  EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr(R"("state":"finished","step":6)"));
  EXPECT_THAT(ReadFile("a", "config.resolved.yaml"), HasSubstr("cost_coefficient: 0.6"));
}

TEST_F(LearnerTest, TheBestCheckpointOnHeldOutQuestionsStays) {
  RunConfig config = Config("best");
  CheckpointConfig& checkpoint = *config.mutable_trainer()->mutable_checkpoint();
  checkpoint.set_every_steps(1);
  checkpoint.set_keep_last(1);
  checkpoint.set_keep_best(1);
  // Of the evaluations at steps 0, 2 and 4 the one in the middle is right.
  change_ = [](const EpisodeSpec& spec, Trajectory& trajectory) {
    if (spec.purpose() != PURPOSE_EVAL) return;
    trajectory.mutable_components()->set_em(spec.step() == 2 ? 1 : 0);
  };
  ASSERT_TRUE(Run(config).ok());
  const auto newest = Newest("best");
  ASSERT_EQ(newest->manifest().learner().evaluations_size(), 3);
  EXPECT_EQ(newest->manifest().learner().evaluations(1).step(), 2);
  EXPECT_EQ(newest->manifest().learner().evaluations(1).figures().at("em"), 1.0);
  const CheckpointStore store(FileSystem::Posix(), temp_ / "runs/best/checkpoints", {});
  EXPECT_THAT(store.Steps().value(), ElementsAre(2, 6));
}

TEST_F(LearnerTest, PlansEpisodesByNameWithTheSameHeldOutQuestionsEachTime) {
  ASSERT_TRUE(Run(Config("a")).ok());
  const StepPlan& plan = record_.plans[2];
  ASSERT_EQ(plan.episodes.size(), 12u + 5u);
  EXPECT_EQ(plan.episodes[7].episode_id(), "train/000002/0001/03");
  EXPECT_EQ(plan.episodes[7].policy_version(), 3);
  EXPECT_EQ(plan.episodes[7].temperature(), 1.0);
  EXPECT_EQ(plan.episodes[13].episode_id(), "eval/000002/0001");
  EXPECT_EQ(plan.episodes[13].temperature(), 0.0);
  EXPECT_EQ(record_.plans[1].episodes.size(), 12u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(record_.plans[0].episodes[12 + i].question().id(),
              record_.plans[4].episodes[12 + i].question().id());
  }
}

TEST_F(LearnerTest, KilledAtAnyStepAndResumedHasTheBitsOfARunNeverStopped) {
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

TEST_F(LearnerTest, TheStepsThatAreAskedForAreTracedAndTheBitsStay) {
  ASSERT_TRUE(Run(Config("plain")).ok());
  RunConfig config = Config("traced");
  config.mutable_trainer()->add_trace_steps(1);
  config.mutable_trainer()->add_trace_steps(4);
  const std::string request = temp_ / "runs/traced/trace.request";
  std::set<int64_t> traced;
  change_ = [](const EpisodeSpec& spec, Trajectory& trajectory) {  // as a worker does
    if (spec.is_traced()) trajectory.mutable_trace()->set_start_us(absl::ToUnixMicros(absl::Now()));
  };
  before_step_ = [&](const StepPlan& plan, const auto&) -> absl::Status {
    for (const EpisodeSpec& spec : plan.episodes) {
      if (spec.is_traced()) traced.insert(plan.step);
    }
    if (plan.step != 2) return absl::OkStatus();
    return WriteFileAtomically(FileSystem::Posix(), request, "");  // for the next step
  };
  ASSERT_TRUE(Run(config).ok());
  EXPECT_THAT(traced, ElementsAre(1, 3, 4));
  EXPECT_FALSE(std::filesystem::exists(request));
  for (const int64_t step : traced) {
    const auto trace =
        nlohmann::json::parse(ReadFile("traced", absl::StrCat("traces/step-00000", step, ".json")));
    EXPECT_EQ(trace["otherData"]["step"], step);
    EXPECT_GT(trace["traceEvents"].size(), 5u);
    EXPECT_EQ(trace["otherData"]["episodes_left_out"], 0);
  }
  ExpectSameRuns("plain", "traced");
}

TEST_F(LearnerTest, ATraceThatCannotBeWrittenEndsNoRun) {
  RunConfig config = Config("a");
  config.mutable_trainer()->add_trace_steps(1);
  before_step_ = [&](const StepPlan&, const auto&) {  // a file stands where the folder should be
    return WriteFileAtomically(FileSystem::Posix(), temp_ / "runs/a/traces", "");
  };
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
}

TEST_F(LearnerTest, WhatWasWrittenAfterTheLastCheckpointIsWrittenAgain) {
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

TEST_F(LearnerTest, ALearnerWhoseRunAnotherHasTakenOverEndsAndLeavesItAlone) {
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

TEST_F(LearnerTest, AFailureBeforeTheFirstStepIsOnRecordUnlessTheRunIsBeingMade) {
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

TEST_F(LearnerTest, WhatALibraryThrowsIsOnRecord) {
  before_step_ = [](const StepPlan& plan, const auto&) -> absl::Status {
    if (plan.step == 3) throw std::runtime_error("no memory");
    return absl::OkStatus();
  };
  const absl::Status status = Run(Config("a")).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("failed in a library: no memory"));
  EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr(R"("state":"failed","step":3)"));
}

TEST_F(LearnerTest, ASpentBudgetEndsTheRunAndLosesNothing) {
  RunConfig config = Config("a");
  config.mutable_run()->set_budget_usd(2);
  const std::string ledger = PoolLedgerFolder(config);
  std::filesystem::create_directories(ledger);
  before_step_ = [&](const StepPlan& plan, const auto& should_go_on) {
    if (plan.step != 3) return absl::OkStatus();
    std::ofstream(ledger + "/worker.jsonl") << R"({"cost_picousd":"2500000000000"})"
                                            << "\n";
    while (should_go_on({})) absl::SleepFor(absl::Milliseconds(20));
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

TEST_F(LearnerTest, AStopSignalFinishesTheStepSavesAndIsResumedFrom) {
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

TEST_F(LearnerTest, AStopSignalWithoutWorkersGivesTheStepUpAndLosesNothing) {
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

TEST_F(LearnerTest, EpisodesThatFailedInThePoolLeaveTheBatchAndAreCounted) {
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
  const auto line = nlohmann::json::parse(ReadFile("a", "metrics.jsonl"));
  EXPECT_EQ(line["episode/pool_failed"], 4);
  EXPECT_EQ(line["episode/count"], 8);
  EXPECT_EQ(line["episode/left_out"],
            5);  // and the last of its group, which has nothing to be compared with
}

TEST_F(LearnerTest, APoolThatFailsAltogetherStopsTheRunBeforeTheStepAndSaysWhy) {
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

TEST_F(LearnerTest, ADamagedCheckpointIsPassedOverForTheOneBefore) {
  ASSERT_TRUE(Run(Config("whole")).ok());
  const RunConfig config = Config("torn");
  RunUntilKilledAt(config, 5);
  std::filesystem::resize_file(temp_ / "runs/torn/checkpoints/step-000005/policy/model.safetensors",
                               100);
  ASSERT_TRUE(Run(config).ok());
  EXPECT_EQ(record_.plans.front().step, 4);
  ExpectSameRuns("whole", "torn");
}

TEST_F(LearnerTest, ResumeNoneStartsAnewAndPutsTheOldRunAside) {
  const RunConfig config = Config("a");
  ASSERT_TRUE(Run(config).ok());
  ASSERT_TRUE(Run(config, "none").ok());
  EXPECT_EQ(record_.plans.front().step, 0);
  EXPECT_TRUE(std::filesystem::exists(temp_ / "runs/a/previous-1/checkpoints/step-000006"));
  EXPECT_TRUE(std::filesystem::exists(temp_ / "runs/a/previous-1/metrics.jsonl"));
}

TEST_F(LearnerTest, ResumeByFolderGoesBackAndTakesAnotherWayFromThere) {
  const RunConfig config = Config("a");
  ASSERT_TRUE(Run(config).ok());
  ASSERT_TRUE(Run(config, temp_ / "runs/a/checkpoints/step-000004").ok());
  EXPECT_EQ(record_.plans.front().step, 4);
  EXPECT_EQ(TimelessMetrics("a").size(), 6u);
  EXPECT_TRUE(std::filesystem::exists(temp_ / "runs/a/checkpoints/abandoned-step-000006"));
}

TEST_F(LearnerTest, OtherQuestionsThanTheCheckpointsAreRefused) {
  RunConfig config = Config("a");
  RunUntilKilledAt(config, 3);
  config.mutable_data()->mutable_train(0)->set_max_questions(7);
  EXPECT_THAT(std::string(Run(config).status().message()),
              HasSubstr("made with other training questions"));
}

TEST_F(LearnerTest, LearnsFromDemonstrationsWithoutASource) {
  {
    std::ofstream file(temp_ / "demonstrations.jsonl");
    for (int i = 0; i < 7; ++i) {
      file << R"({"episode_id":"d)" << i << R"(","token_ids":[1,2,)" << 3 + i
           << R"(,4],"provenance":[1,1,2,2]})"
           << "\n";
    }
  }
  RunConfig config = Config("supervised");
  config.mutable_trainer()->set_algorithm(TrainerConfig::ALGORITHM_SUPERVISED);
  config.mutable_data()->add_demonstrations(temp_ / "demonstrations.jsonl");
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
  EXPECT_TRUE(record_.plans.empty());
  EXPECT_EQ(Newest("supervised")->manifest().learner().question_cursor(), 18u);
  const auto losses = TimelessMetrics("supervised");
  EXPECT_LT(nlohmann::json::parse(losses.back())["policy/loss"],
            nlohmann::json::parse(losses.front())["policy/loss"]);
}

// Ranks with different configs: tests/integration/bad_input_test.py.
TEST_F(LearnerTest, OffloadOfARunOnTheCpuIsRefusedBeforeAnythingIsDone) {
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

TEST_F(LearnerTest, AFailedStartLeavesTheStepOfTheRunOnRecord) {
  RunConfig config = Config("a");
  EXPECT_EQ(Run(config).value(), RunOutcome::kFinished);
  config.mutable_trainer()->mutable_sharding()->set_offload(ShardingConfig::OFFLOAD_ALL);
  EXPECT_FALSE(Run(config).ok());
  EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr(R"("state":"failed","step":6)"));
}

TEST_F(LearnerTest, AMissingPolicyFolderIsNamed) {
  RunConfig config = Config("a");
  config.mutable_policy()->set_path("/nowhere/policy");
  EXPECT_THAT(std::string(Run(config).status().message()), HasSubstr("/nowhere/policy"));
}

TEST_F(LearnerTest, ThePageHasEachStepWithTheAdvantagesThatWereLearntWith) {
  const RunConfig config = Config("watched");
  const auto tokenizer = *Tokenizer::Parse(TinyTokenizerJson({}).dump(), "tiny");
  LiveState state(config, {}, tokenizer.get());
  live_state_ = &state;
  ASSERT_EQ(Run(config).value(), RunOutcome::kFinished);
  const auto status = nlohmann::json::parse(state.StatusJson());
  EXPECT_EQ(status["steps_done"], 6);
  const auto last = nlohmann::json::parse(TimelessMetrics("watched").back());
  EXPECT_EQ(status["newest"]["figures"]["episode/em"], last["episode/em"]);
  // GRPO: all policy tokens of a trajectory share one; over a group they sum to about 0.
  double sum = 0, size = 0;
  int members = 0;
  const auto list = nlohmann::json::parse(state.TrajectoriesJson())["trajectories"];
  for (const auto& item : list) {
    if (item["step"] != 5 || item["purpose"] != "training") continue;
    ++members;
    const auto shown = nlohmann::json::parse(*state.TrajectoryJson(item["id"]));
    for (const auto& segment : shown["segments"]) {
      if (segment["writer"] != "policy") continue;
      for (const auto& token : segment["tokens"]) {
        EXPECT_NEAR(token[2].get<double>(), shown["advantage"].get<double>(), 1e-6);
      }
    }
    sum += shown["advantage"].get<double>();
    size += std::abs(shown["advantage"].get<double>());
  }
  EXPECT_EQ(members, 4);
  EXPECT_NEAR(sum, 0.0, 1e-5);
  EXPECT_GT(size, 0.1);
  EXPECT_EQ(nlohmann::json::parse(state.WorkersJson("id", 10))["count"], 0);
}

}  // namespace
}  // namespace switchyard
