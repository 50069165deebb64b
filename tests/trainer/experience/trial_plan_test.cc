#include "trainer/experience/trial_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace routewright {
namespace {

RunConfig Config(double share) {
  RunConfig config;
  for (const char* name : {"a", "b", "c"}) config.mutable_pool()->add_models()->set_name(name);
  config.mutable_trainer()->mutable_routing()->set_trial_share(share);
  return config;
}

EpisodeSpec SpecOf(const RunConfig& config, int64_t step, int64_t place, int64_t num_episodes) {
  EpisodeSpec spec;
  spec.set_step(step);
  spec.set_episode_id(absl::StrCat("train/", step, "/", place));
  TrialPlan(config).SetTrials(num_episodes, place, spec);
  return spec;
}

// The floor: 128 episodes a step, an eighth of them trials: 16 a step, over three models.
TEST(TrialPlanTest, FirstCallsAreDealtOutEvenly) {
  const RunConfig config = Config(0.125);
  std::map<std::string, int> trials;
  for (int64_t step = 0; step < 3; ++step) {
    std::map<std::string, int> of_step;
    for (int64_t place = 0; place < 128; ++place) {
      const EpisodeSpec spec = SpecOf(config, step, place, 128);
      const auto trial = spec.trial_models().find(0);
      if (trial != spec.trial_models().end()) ++trials[trial->second], ++of_step[trial->second];
    }
    for (const auto& [model, count] : of_step) EXPECT_GE(count, 4) << model;
  }
  for (const auto& [model, count] : trials) EXPECT_EQ(count, 16) << model;
}

TEST(TrialPlanTest, EveryGroupHasItsTrial) {
  const RunConfig config = Config(0.125);
  for (int64_t group = 0; group < 16; ++group) {
    int count = 0;
    for (int64_t member = 0; member < 8; ++member) {
      count += static_cast<int>(SpecOf(config, 4, 8 * group + member, 128).trial_models().count(0));
    }
    EXPECT_EQ(count, 1) << group;
  }
}

TEST(TrialPlanTest, LaterCallsAreDrawnWithTheSameShare) {
  const RunConfig config = Config(0.25);
  int later = 0;
  for (int64_t place = 0; place < 1000; ++place) {
    const EpisodeSpec spec = SpecOf(config, 0, place, 1000);
    for (int round = 1; round < config.episode().max_rounds(); ++round) {
      later += static_cast<int>(spec.trial_models().count(round));
    }
    EXPECT_EQ(spec.trial_models().count(config.episode().max_rounds()),
              0u);  // the last round calls nobody
  }
  EXPECT_NEAR(later / 3000.0, 0.25, 0.03);
}

TEST(TrialPlanTest, AnEpisodesTrialsDependOnItsPlaceAlone) {
  const RunConfig config = Config(0.5);
  const auto trials = [&] {
    const EpisodeSpec spec = SpecOf(config, 7, 3, 16);
    return std::map<int, std::string>(spec.trial_models().begin(), spec.trial_models().end());
  };
  EXPECT_EQ(trials(), trials());
}

TEST(TrialPlanTest, WithoutAShareThereAreNone) {
  EXPECT_EQ(SpecOf(Config(0.0), 0, 0, 8).trial_models_size(), 0);
}

// A trial of a model whose name the policy gave probability `p`, in two tokens.
Trajectory Trial(double p) {
  Trajectory trajectory;
  for (double logprob : {-0.1, std::log(p) / 2, std::log(p) / 2, -0.3}) {
    trajectory.add_logprobs(static_cast<float>(logprob));
  }
  Action* action = trajectory.add_actions();
  action->set_is_trial(true);
  action->set_model_first_token(1);
  action->set_model_end_token(3);
  return trajectory;
}

TEST(TrialPlanTest, ATrialWeighsAsOftenAsThePolicyWouldHaveMadeIt) {
  const RunConfig config = Config(0.3);  // a trial of each of the three models: 0.1
  EXPECT_NEAR(TrialWeight(config, Trial(0.02)), 0.2, 1e-6);
  EXPECT_EQ(TrialWeight(config, Trial(0.5)), 1.0);
  Trajectory chosen = Trial(0.02);
  chosen.mutable_actions(0)->set_is_trial(false);
  EXPECT_EQ(TrialWeight(config, chosen), 1.0);
}

TEST(TrialPlanTest, AnEpisodeWithoutATrialStandsForThoseOfAsManyCallsThatHadOne) {
  const RunConfig config = Config(0.2);
  EXPECT_EQ(TrialFreeWeight(config, Trial(0.5)), 0.0);
  Trajectory trajectory;
  EXPECT_EQ(TrialFreeWeight(config, trajectory), 1.0);
  for (ActionKind kind : {ACTION_KIND_SEARCH, ACTION_KIND_SEARCH, ACTION_KIND_ANSWER}) {
    trajectory.add_actions()->set_kind(kind);
  }
  EXPECT_NEAR(TrialFreeWeight(config, trajectory), 1 / 0.64, 1e-12);
  // Where a trial would have named the model, and so made another call of it.
  Action& wrong = *trajectory.add_actions();
  wrong.set_kind(ACTION_KIND_INVALID);
  wrong.set_invalid_reason(INVALID_REASON_NO_TAGS);
  EXPECT_NEAR(TrialFreeWeight(config, trajectory), 1 / 0.64, 1e-12);
  wrong.set_invalid_reason(INVALID_REASON_UNKNOWN_MODEL);
  EXPECT_NEAR(TrialFreeWeight(config, trajectory), 1 / 0.512, 1e-12);
}

}  // namespace
}  // namespace routewright
