#include "trainer/experience/episode_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace routewright {
namespace {

RunConfig Grpo() {
  RunConfig config;
  config.mutable_trainer()->set_algorithm(TrainerConfig::ALGORITHM_GRPO);
  config.mutable_trainer()->set_episodes_per_question(2);
  return config;
}

Trajectory Episode(const std::string& id, EpisodeStatus status = EPISODE_STATUS_ANSWERED) {
  Trajectory trajectory;
  trajectory.set_episode_id(id);
  trajectory.set_purpose(id.starts_with("eval") ? PURPOSE_EVAL : PURPOSE_TRAIN);
  trajectory.set_status(status);
  for (Provenance provenance : {PROVENANCE_PROMPT, PROVENANCE_POLICY}) {
    trajectory.add_token_ids(1);
    trajectory.add_provenance(provenance);
    trajectory.add_logprobs(provenance == PROVENANCE_POLICY ? -1.0f : 0.0f);
    trajectory.add_policy_versions(provenance == PROVENANCE_POLICY ? 4 : -1);
  }
  return trajectory;
}

TEST(EpisodePlanTest, TrainingSamplesAtItsTemperatureAndEvaluationIsGreedy) {
  RunConfig config = Grpo();
  config.mutable_episode()->set_temperature(0.75);
  const std::vector<Question> questions(1);
  const StepPlan plan = PlanStep(config, /*step=*/3, /*policy_version=*/4, questions, questions);
  ASSERT_EQ(plan.episodes.size(), 3u);
  for (const EpisodeSpec& spec : plan.episodes) {
    EXPECT_EQ(spec.temperature(), spec.purpose() == PURPOSE_EVAL ? 0 : 0.75) << spec.episode_id();
  }
  EXPECT_EQ(plan.episodes[1].episode_id(), "train/000003/0000/01");
  EXPECT_EQ(plan.episodes[2].episode_id(), "eval/000003/0000");
  config.clear_episode();
  EXPECT_EQ(PlanStep(config, 3, 4, questions, {}).episodes[0].temperature(), 1.0);
}

TEST(EpisodePlanTest, GroupsAreTheEpisodesOfAQuestion) {
  const std::vector<Trajectory> trajectories = {
      Episode("train/000003/0000/00"), Episode("train/000003/0000/01"),
      Episode("train/000003/0001/00"), Episode("train/000003/0001/01"),
      Episode("eval/000003/0000")};
  const LearnableBatch selected = SelectBatch(Grpo(), trajectories, 10, 4).value();
  EXPECT_THAT(selected.batch.groups, ::testing::ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(selected.places, ::testing::ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(selected.left_out, 0);
}

TEST(EpisodePlanTest, WhatNothingCanBeLearntFromIsLeftOut) {
  Trajectory silent = Episode("train/000003/0002/01", EPISODE_STATUS_OVERFLOW);
  silent.mutable_provenance()->Set(1, PROVENANCE_PROMPT);
  const std::vector<Trajectory> trajectories = {
      Episode("train/000003/0000/00", EPISODE_STATUS_POOL_FAILED), Episode("train/000003/0000/01"),
      Episode("train/000003/0001/00", EPISODE_STATUS_NO_ANSWER),   Episode("train/000003/0001/01"),
      Episode("train/000003/0002/00", EPISODE_STATUS_CANCELLED),   silent};
  const LearnableBatch selected = SelectBatch(Grpo(), trajectories, 10, 4).value();
  EXPECT_EQ(selected.batch.num_trajectories(), 2);
  EXPECT_EQ(selected.left_out, 4);

  RunConfig ppo = Grpo();
  ppo.mutable_trainer()->set_algorithm(TrainerConfig::ALGORITHM_PPO);  // needs no company
  EXPECT_EQ(SelectBatch(ppo, trajectories, 10, 4)->left_out, 3);
}

Trajectory Rewarded(const std::string& id, double reward) {
  Trajectory trajectory = Episode(id);
  trajectory.set_reward(reward);
  return trajectory;
}

TEST(EpisodePlanTest, AGroupIsEvenIfAllItsRewardsAreTheSame) {
  const std::vector<Trajectory> trajectories = {
      Rewarded("train/000003/0000/00", 1.0), Rewarded("train/000003/0000/01", 1.0),
      Rewarded("train/000003/0001/00", 1.0), Rewarded("train/000003/0001/01", 0.9),
      Episode("train/000003/0002/00", EPISODE_STATUS_POOL_FAILED)};
  RunConfig config = Grpo();
  EXPECT_THAT(EvenGroups(config, trajectories),
              ::testing::ElementsAre(std::pair("train/000003/0000", true),
                                     std::pair("train/000003/0001", false)));
  config.mutable_trainer()->mutable_dynamic_sampling()->set_min_difference(0.2);
  EXPECT_TRUE(EvenGroups(config, trajectories).at("train/000003/0001"));
}

// Every eighth episode is a trial: each group of eight would differ by it.
TEST(EpisodePlanTest, ATrialThatDoesWorseThanThePolicyMakesNoDifference) {
  RunConfig config = Grpo();
  config.mutable_trainer()->mutable_routing()->set_trial_share(0.125);
  for (const char* name : {"a", "b"}) config.mutable_pool()->add_models()->set_name(name);
  const auto is_even = [&](double own, double of_trial, double probability) {
    Trajectory trial = Rewarded("train/000003/0000/02", of_trial);
    trial.set_logprobs(1, static_cast<float>(std::log(probability)));
    Action& action = *trial.add_actions();
    action.set_is_trial(true);
    action.set_model_first_token(1);
    action.set_model_end_token(2);
    const std::vector<Trajectory> trajectories = {Rewarded("train/000003/0000/00", own),
                                                  Rewarded("train/000003/0000/01", own), trial};
    return EvenGroups(config, trajectories).at("train/000003/0000");
  };
  EXPECT_TRUE(is_even(1.0, 0.0, 0.01));
  EXPECT_FALSE(is_even(0.0, 1.0, 0.01));  // a better model was found
  EXPECT_FALSE(is_even(1.0, 0.0, 0.5));   // the policy would have made it itself
  EXPECT_TRUE(is_even(1.0, 1.0, 0.01));
}

TEST(EpisodePlanTest, WithDynamicSamplingEvenGroupsAreLeftOutUnlessAllAre) {
  std::vector<Trajectory> trajectories = {
      Rewarded("train/000003/0000/00", 1.0), Rewarded("train/000003/0000/01", 1.0),
      Rewarded("train/000003/0001/00", 1.0), Rewarded("train/000003/0001/01", 0.9)};
  RunConfig config = Grpo();
  EXPECT_EQ(SelectBatch(config, trajectories, 10, 4)->left_out, 0);
  config.mutable_trainer()->mutable_dynamic_sampling()->set_max_extra_share(1);
  EXPECT_EQ(SelectBatch(config, trajectories, 10, 4)->left_out, 2);
  trajectories[3].set_reward(1.0);
  EXPECT_EQ(SelectBatch(config, trajectories, 10, 4)->left_out, 0);
}

TEST(EpisodePlanTest, WhatRanOutOfTokensIsMaskedIfAskedFor) {
  const std::vector<Trajectory> trajectories = {
      Episode("train/000003/0000/00"), Episode("train/000003/0000/01", EPISODE_STATUS_OVERFLOW)};
  RunConfig config = Grpo();
  EXPECT_THAT(SelectBatch(config, trajectories, 10, 4)->batch.is_masked,
              ::testing::ElementsAre(0, 0));
  config.mutable_trainer()->set_mask_overlong(true);
  EXPECT_THAT(SelectBatch(config, trajectories, 10, 4)->batch.is_masked,
              ::testing::ElementsAre(0, 1));
}

TEST(EpisodePlanTest, PlansThatAddToAStepGoOnCounting) {
  const std::vector<Question> questions(2);
  const StepPlan plan = PlanStep(Grpo(), 3, 4, questions, {}, /*first_place=*/16);
  EXPECT_EQ(plan.episodes.front().episode_id(), "train/000003/0016/00");
  EXPECT_EQ(plan.episodes.back().episode_id(), "train/000003/0017/01");
}

TEST(EpisodePlanTest, AStaleTrajectoryIsRefusedByName) {
  const std::vector<Trajectory> trajectories = {Episode("train/000003/0000/00"),
                                                Episode("train/000003/0000/01")};
  const absl::Status status = SelectBatch(Grpo(), trajectories, 10, /*policy_version=*/5).status();
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("train/000003/0000/00"));
}

}  // namespace
}  // namespace routewright
