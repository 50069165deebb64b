#include "trainer/checkpoint/checkpoint_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;

class CheckpointStoreTest : public ::testing::Test {
 protected:
  void Make(const std::string& name) {
    std::filesystem::create_directories(temp_.path() + "/checkpoints/" + name);
  }
  bool Has(const std::string& name) {
    return std::filesystem::exists(temp_.path() + "/checkpoints/" + name);
  }
  static void Evaluate(int64_t step, double em, double f1, LearnerState* learner) {
    EvaluationResult* result = learner->add_evaluations();
    result->set_step(step);
    (*result->mutable_metrics())["em"] = em;
    (*result->mutable_metrics())["f1"] = f1;
  }

  TempFolder temp_;
  CheckpointConfig config_;
  CheckpointStore store_{FileSystem::Posix(), temp_.path() + "/checkpoints", config_};
};

TEST_F(CheckpointStoreTest, ListsWholeCheckpointsBySteps) {
  EXPECT_THAT(store_.Steps().value(), ElementsAre());
  for (const char* name : {"step-000020", "step-000003", ".step-000030.partial", "step-x",
                           "damaged-step-000001", "step-1234567"}) {
    Make(name);
  }
  EXPECT_THAT(store_.Steps().value(), ElementsAre(3, 20, 1234567));
}

TEST_F(CheckpointStoreTest, WhatAProcessThatDiedLeftIsRemoved) {
  Make("step-000003");
  Make(".step-000004.partial/policy");
  ASSERT_TRUE(store_.RemoveUnfinished().ok());
  EXPECT_FALSE(Has(".step-000004.partial"));
  EXPECT_TRUE(Has("step-000003"));
}

TEST_F(CheckpointStoreTest, LaterCheckpointsArePutAsideWhenARunGoesBack) {
  for (const char* name : {"step-000001", "step-000002", "step-000003"}) Make(name);
  ASSERT_TRUE(store_.PutAsideLaterThan(1).ok());
  EXPECT_THAT(store_.Steps().value(), ElementsAre(1));
  EXPECT_TRUE(Has("abandoned-step-000003"));
}

TEST_F(CheckpointStoreTest, KeepsTheNewest) {
  config_.set_keep_last(2);
  EXPECT_THAT(StepsToKeep(config_, {5, 10, 15}, {}), ElementsAre(10, 15));
  EXPECT_THAT(StepsToKeep(config_, {5}, {}), ElementsAre(5));
  EXPECT_THAT(StepsToKeep(config_, {}, {}), ElementsAre());
}

TEST_F(CheckpointStoreTest, KeepsEveryNthStepForGood) {
  config_.set_keep_last(1);
  config_.set_keep_every_steps(20);
  EXPECT_THAT(StepsToKeep(config_, {10, 20, 30, 40, 50}, {}), ElementsAre(20, 40, 50));
}

TEST_F(CheckpointStoreTest, KeepsTheBestByTheMetricThatWasAskedFor) {
  config_.set_keep_last(1);
  config_.set_keep_best(1);
  LearnerState learner;
  Evaluate(0, 0.99, 0.99, &learner);  // no checkpoint of it
  Evaluate(10, 0.5, 0.9, &learner);
  Evaluate(20, 0.7, 0.8, &learner);
  Evaluate(30, 0.7, 0.7, &learner);
  const std::vector<int64_t> steps = {10, 20, 30, 40};
  EXPECT_THAT(StepsToKeep(config_, steps, learner), ElementsAre(30, 40));  // of equals the later
  config_.set_keep_best(2);
  EXPECT_THAT(StepsToKeep(config_, steps, learner), ElementsAre(20, 30, 40));
  config_.set_best_metric(CheckpointConfig::BEST_METRIC_F1);
  EXPECT_THAT(StepsToKeep(config_, steps, learner), ElementsAre(10, 20, 40));
}

// At a temperature of 1, or on other questions, a better policy may score less.
TEST_F(CheckpointStoreTest, TheBestAreOfEachSettingsOfTheEvaluation) {
  config_.set_keep_last(1);
  config_.set_keep_best(1);
  LearnerState learner;
  Evaluate(10, 0.9, 0.9, &learner);
  Evaluate(20, 0.8, 0.8, &learner);
  Evaluate(30, 0.7, 0.7, &learner);
  Evaluate(40, 0.6, 0.6, &learner);
  learner.mutable_evaluations(2)->set_settings_digest(1);
  learner.mutable_evaluations(3)->set_settings_digest(1);
  EXPECT_THAT(StepsToKeep(config_, {10, 20, 30, 40, 50}, learner), ElementsAre(10, 30, 50));
}

TEST_F(CheckpointStoreTest, PruningRemovesTheOthersAndNothingElse) {
  for (const char* name : {"step-000001", "step-000002", "step-000003", "damaged-step-000000"}) {
    Make(name);
  }
  ASSERT_TRUE(store_.Prune({}).ok());
  EXPECT_THAT(store_.Steps().value(), ElementsAre(2, 3));
  EXPECT_TRUE(Has("damaged-step-000000"));
}

}  // namespace
}  // namespace routewright
