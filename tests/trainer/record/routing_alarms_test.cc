#include "trainer/record/routing_alarms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace routewright {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(CollapseAlarmTest, IsRaisedOnceUntilTheEntropyHasRisenAgain) {
  CollapseAlarm alarm(0.1);
  std::vector<bool> raised;
  for (double entropy : {1.0, 0.09, 0.0, 0.1, 0.05}) raised.push_back(alarm.IsRaisedBy(entropy));
  EXPECT_THAT(raised, ElementsAre(false, true, false, false, true));
}

TEST(CollapseAlarmTest, ABoundOfZeroNeverRaisesIt) {
  EXPECT_FALSE(CollapseAlarm(0.0).IsRaisedBy(0.0));
}

TEST(LostModelAlarmTest, NamesAModelOnceUntilItIsNamedAgain) {
  LostModelAlarm alarm(0.05);
  for (int step = 0; step < 8; ++step) {
    EXPECT_THAT(alarm.RaisedBy({{"Atlas", 0.8}, {"Curie", 0.2}}), IsEmpty());
  }
  std::vector<int> raised_at;
  for (int step = 1; step <= 40; ++step) {
    const auto lost = alarm.RaisedBy({{"Atlas", 1.0}, {"Curie", 0.0}});
    if (!lost.empty()) {
      EXPECT_THAT(lost, ElementsAre("Curie"));
      raised_at.push_back(step);
    }
  }
  EXPECT_THAT(raised_at, ElementsAre(11));  // 0.2 · (7/8)^11 < 0.05
  for (int step = 0; step < 8; ++step) alarm.RaisedBy({{"Atlas", 0.5}, {"Curie", 0.5}});
  bool is_raised_again = false;
  for (int step = 0; step < 40; ++step)
    is_raised_again |= !alarm.RaisedBy({{"Curie", 0.0}}).empty();
  EXPECT_TRUE(is_raised_again);
}

// A step of 8 episodes names few of 6 models.
TEST(LostModelAlarmTest, AFewStepsSayLittle) {
  LostModelAlarm alarm(0.01);
  for (int step = 0; step < 50; ++step) {
    const bool is_odd = step % 2 == 1;
    EXPECT_THAT(alarm.RaisedBy({{"Atlas", is_odd ? 1.0 : 0.0}, {"Curie", is_odd ? 0.0 : 1.0}}),
                IsEmpty());
  }
}

TEST(LostModelAlarmTest, AModelThatIsNeverNamedIsLostOnceEightStepsSaySo) {
  LostModelAlarm alarm(0.01);
  for (int step = 1; step <= 20; ++step) {
    EXPECT_EQ(alarm.RaisedBy({{"Atlas", 1.0}, {"Curie", 0.0}}).size(), step == 8 ? 1u : 0u) << step;
  }
  EXPECT_THAT(LostModelAlarm(0.0).RaisedBy({{"Atlas", 1.0}, {"Curie", 0.0}}), IsEmpty());
}

}  // namespace
}  // namespace routewright
