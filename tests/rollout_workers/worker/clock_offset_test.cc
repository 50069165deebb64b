#include "rollout_workers/worker/clock_offset.h"

#include <gtest/gtest.h>

namespace routewright {
namespace {

// Milliseconds after some moment.
absl::Time At(int ms) { return absl::UnixEpoch() + absl::Milliseconds(ms); }

TEST(ClockOffsetTest, IsZeroBeforeTheFirstExchange) {
  EXPECT_EQ(ClockOffset().offset(), absl::ZeroDuration());
}

TEST(ClockOffsetTest, TheLearnersWaitDoesNotCount) {
  // The learner's clock is 5 s ahead, each way takes 10 ms, it waited for 900 ms.
  ClockOffset clock;
  clock.Observe(At(0), At(5010), At(5910), At(920));
  EXPECT_EQ(clock.offset(), absl::Seconds(5));
}

TEST(ClockOffsetTest, TheFastestExchangeCounts) {
  ClockOffset clock;
  clock.Observe(At(0), At(-4700), At(-4700), At(310));  // slow on the way there: 145 ms wrong
  clock.Observe(At(1000), At(-3999), At(-3999), At(1002));
  clock.Observe(At(2000), At(-2990), At(-2990), At(2200));
  EXPECT_EQ(clock.offset(), absl::Seconds(-5));
}

TEST(ClockOffsetTest, OldExchangesAreForgotten) {
  ClockOffset clock;
  clock.Observe(At(0), At(1), At(1), At(2));
  for (int i = 1; i <= 16; ++i) {  // since then this host's clock was set back by a second
    clock.Observe(At(100 * i), At(100 * i + 1010), At(100 * i + 1010), At(100 * i + 20));
  }
  EXPECT_EQ(clock.offset(), absl::Seconds(1));
}

}  // namespace
}  // namespace routewright
