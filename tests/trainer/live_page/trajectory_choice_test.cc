#include "trainer/live_page/trajectory_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_format.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Trajectory Of(Purpose purpose, int question, int member, double reward) {
  Trajectory trajectory;
  trajectory.set_purpose(purpose);
  trajectory.set_episode_id(absl::StrFormat("train/000001/%04d/%02d", question, member));
  trajectory.set_reward(reward);
  return trajectory;
}

TEST(TrajectoryChoiceTest, TheQuestionWhoseRewardsDifferMostIsShown) {
  EXPECT_THAT(
      ChooseTrajectories(std::vector<Trajectory>{
          Of(PURPOSE_TRAIN, 0, 0, 1), Of(PURPOSE_TRAIN, 0, 1, 1), Of(PURPOSE_TRAIN, 1, 0, 0),
          Of(PURPOSE_TRAIN, 1, 1, 1), Of(PURPOSE_TRAIN, 2, 0, 0)}),
      ElementsAre(2, 3));
}

TEST(TrajectoryChoiceTest, OfManyEpisodesTheFirstAreShown) {
  std::vector<Trajectory> trajectories;
  for (int i = 0; i < 20; ++i) trajectories.push_back(Of(PURPOSE_TRAIN, 0, i, i));
  for (int i = 0; i < 20; ++i) trajectories.push_back(Of(PURPOSE_EVAL, i, 0, i));
  EXPECT_THAT(ChooseTrajectories(trajectories),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 22, 23));
}

TEST(TrajectoryChoiceTest, OfNothingNothingIsShown) {
  EXPECT_THAT(ChooseTrajectories({}), IsEmpty());
}

}  // namespace
}  // namespace routewright
