#include "trainer/loop/learner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/policy/tokenizer/tiny_tokenizer.h"
#include "tests/trainer/loop/learner_run.h"
#include "trainer/live_page/live_state.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(LearnerTest, RunsEveryStepOnFreshWeightsAndLeavesACheckpoint) {
  EXPECT_EQ(Run(Config("a")).value(), RunOutcome::kFinished);
  EXPECT_THAT(record_.published, ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_TRUE(record_.is_finished);
  EXPECT_EQ(TimelessMetrics("a").size(), 6u + 1u);
  const auto newest = Newest("a");
  EXPECT_EQ(newest->manifest().step(), 6);
  EXPECT_EQ(newest->manifest().policy_version(), 7);
  EXPECT_EQ(newest->manifest().learner().question_cursor(), 18u);
  EXPECT_EQ(newest->manifest().learner().episodes_committed(), 6 * 12 + 4 * 5);
  EXPECT_THAT(ReadFile("a", "learner.json"), HasSubstr(R"("state":"finished","step":6)"));
  EXPECT_THAT(ReadFile("a", "config.resolved.yaml"), HasSubstr("cost_coefficient: 0.6"));
}

TEST_F(LearnerTest, TheBestCheckpointOnHeldOutQuestionsStays) {
  RunConfig config = Config("best");
  CheckpointConfig& checkpoint = *config.mutable_trainer()->mutable_checkpoint();
  checkpoint.set_every_steps(1);
  checkpoint.set_keep_last(1);
  checkpoint.set_keep_best(1);
  // Of the evaluations at steps 0, 2, 4 and 6 one is right.
  change_ = [](const EpisodeSpec& spec, Trajectory& trajectory) {
    if (spec.purpose() != PURPOSE_EVAL) return;
    trajectory.mutable_components()->set_em(spec.step() == 2 ? 1 : 0);
  };
  ASSERT_TRUE(Run(config).ok());
  const auto newest = Newest("best");
  ASSERT_EQ(newest->manifest().learner().evaluations_size(), 4);
  EXPECT_EQ(newest->manifest().learner().evaluations(1).step(), 2);
  EXPECT_EQ(newest->manifest().learner().evaluations(1).metrics().at("em"), 1.0);
  const CheckpointStore store(FileSystem::Posix(), temp_ / "runs/best/checkpoints", {});
  EXPECT_THAT(store.Steps().value(), ElementsAre(2, 6));
}

TEST_F(LearnerTest, TheLastWeightsAreEvaluatedToo) {
  change_ = [](const EpisodeSpec& spec, Trajectory& trajectory) {
    if (spec.purpose() != PURPOSE_EVAL) return;
    trajectory.mutable_components()->set_em(spec.step() == 6 ? 1 : 0);
  };
  RunConfig config = Config("a");
  config.mutable_trainer()->mutable_checkpoint()->set_keep_last(1);
  config.mutable_trainer()->mutable_checkpoint()->set_keep_best(1);
  LiveState state(config, {}, nullptr);
  live_state_ = &state;
  ASSERT_EQ(Run(config).value(), RunOutcome::kFinished);
  const StepPlan& plan = record_.plans.back();
  ASSERT_EQ(plan.episodes.size(), 5u);
  EXPECT_EQ(plan.episodes[0].episode_id(), "eval/000006/0000");
  EXPECT_EQ(plan.policy_version, 7);
  const LearnerState learner = Newest("a")->manifest().learner();
  EXPECT_EQ(learner.evaluations(3).step(), 6);
  EXPECT_EQ(learner.evaluations(3).metrics().at("em"), 1.0);
  // Its line has nothing of a step's; the page goes on showing the step's.
  const auto line = nlohmann::json::parse(TimelessMetrics("a").back());
  EXPECT_EQ(line["step"], 6);
  EXPECT_EQ(line["evaluation/em"], 1.0);
  EXPECT_EQ(line["run/cost_usd"], static_cast<double>(learner.ledger_total_picousd()) * 1e-12);
  for (const auto& [name, value] : line.items()) {
    EXPECT_TRUE(name == "step" || name == "run/cost_usd" || name.starts_with("evaluation/"))
        << name;
  }
  const auto status = nlohmann::json::parse(state.StatusJson());
  EXPECT_EQ(status["steps_done"], 6);
  EXPECT_EQ(status["newest"]["step"], 5);
  EXPECT_TRUE(status["newest"]["metrics"].contains("episode/em"));
  EXPECT_EQ(status["evaluated"]["metrics"]["run/cost_usd"], line["run/cost_usd"]);
  EXPECT_EQ(status["evaluated"]["step"], 6);
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

TEST_F(LearnerTest, ThePageHasEachStepWithTheAdvantagesThatWereLearntWith) {
  const RunConfig config = Config("watched");
  const auto tokenizer = *Tokenizer::Parse(TinyTokenizerJson({}).dump(), "tiny");
  LiveState state(config, {}, tokenizer.get());
  live_state_ = &state;
  ASSERT_EQ(Run(config).value(), RunOutcome::kFinished);
  const auto status = nlohmann::json::parse(state.StatusJson());
  EXPECT_EQ(status["steps_done"], 6);
  const auto last = nlohmann::json::parse(TimelessMetrics("watched")[5]);
  EXPECT_EQ(status["newest"]["metrics"]["episode/em"], last["episode/em"]);
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
}  // namespace routewright
