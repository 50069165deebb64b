#include "trainer/rollout_service/trajectory_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "tests/trainer/experience/trajectories.h"

namespace routewright {
namespace {

constexpr int kVocabulary = 100;

absl::Status CheckAfter(const std::function<void(Trajectory&)>& change) {
  const EpisodeSpec spec = testing::MakeSpec("a");
  Trajectory t = testing::MakeTrajectory(spec);
  change(t);
  return CheckTrajectory(t, spec, kVocabulary);
}

TEST(TrajectoryCheckTest, AWellFormedTrajectoryPasses) {
  EXPECT_TRUE(CheckAfter([](Trajectory&) {}).ok());
}

TEST(TrajectoryCheckTest, ForgedOrStaleOnesAreRefused) {
  const std::vector<std::function<void(Trajectory&)>> faults = {
      [](Trajectory& t) { t.set_episode_id("b"); },
      [](Trajectory& t) { t.set_purpose(PURPOSE_EVAL); },
      [](Trajectory& t) { t.set_step(7); },
      [](Trajectory& t) { t.mutable_question()->set_id("another"); },
      [](Trajectory& t) { t.set_status(EPISODE_STATUS_UNSPECIFIED); },
      [](Trajectory& t) { t.add_token_ids(1); },
      [](Trajectory& t) { t.set_token_ids(0, kVocabulary); },
      [](Trajectory& t) { t.set_logprobs(3, NAN); },
      [](Trajectory& t) { t.set_logprobs(3, 0.5f); },
      [](Trajectory& t) { t.set_logprobs(0, -0.5f); },
      [](Trajectory& t) { t.set_policy_versions(3, 2); },
      [](Trajectory& t) { t.set_provenance(3, PROVENANCE_UNSPECIFIED); },
      [](Trajectory& t) { t.mutable_actions(0)->set_first_token(1); },
      [](Trajectory& t) { t.mutable_actions(0)->set_end_token(6); },
      [](Trajectory& t) { t.mutable_components()->set_em(INFINITY); },
      [](Trajectory& t) { t.mutable_components()->set_em(1e9); },
      [](Trajectory& t) { t.mutable_components()->set_f1(-0.1); },
      [](Trajectory& t) { t.set_pool_wait_ms(-1); },
      [](Trajectory& t) { t.set_pool_wait_ms(std::nan("")); },
      [](Trajectory& t) { t.set_provenance(0, PROVENANCE_POLICY); },
      [](Trajectory& t) { t.add_pool_calls()->set_cost_picousd(-1); },
      [](Trajectory& t) { t.add_pool_calls()->set_cost_picousd(5); },
      [](Trajectory& t) { t.add_pool_calls()->set_retried_cost_picousd(1); },
      [](Trajectory& t) { t.mutable_components()->set_retried_cost_picousd(1); },
      [](Trajectory& t) { t.mutable_actions(0)->set_model_end_token(1000); },
      [](Trajectory& t) { t.mutable_actions(0)->set_model_first_token(-1); },
      [](Trajectory& t) {
        t.mutable_actions(0)->set_is_trial(true);
      },  // of which the lease knows nothing
  };
  for (size_t i = 0; i < faults.size(); ++i) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckAfter(faults[i]))) << "fault " << i;
  }
}

TEST(TrajectoryCheckTest, ATrialIsTheOneThatWasLeased) {
  EpisodeSpec spec = testing::MakeSpec("a");
  (*spec.mutable_trial_models())[0] = "Atlas";
  Trajectory t = testing::MakeTrajectory(spec);
  Action& action = *t.mutable_actions(0);
  action.set_kind(ACTION_KIND_SEARCH);
  action.set_model("Atlas");
  action.set_is_trial(true);
  EXPECT_TRUE(CheckTrajectory(t, spec, kVocabulary).ok());
  action.set_model("Sage");
  EXPECT_TRUE(absl::IsInvalidArgument(CheckTrajectory(t, spec, kVocabulary)));
  for (const ActionKind kind : {ACTION_KIND_ANSWER, ACTION_KIND_INVALID}) {  // nothing was called
    action.set_kind(kind);
    action.clear_model();
    EXPECT_TRUE(CheckTrajectory(t, spec, kVocabulary).ok());
  }
  action.set_round(1);
  EXPECT_TRUE(absl::IsInvalidArgument(CheckTrajectory(t, spec, kVocabulary)));
}

}  // namespace
}  // namespace routewright
