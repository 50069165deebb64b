#include "trainer/stop_signals.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "absl/time/clock.h"

namespace switchyard {
namespace {

bool AreBlockedHere() {
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return sigismember(&blocked, SIGUSR1) == 1 && sigismember(&blocked, SIGTERM) == 1 &&
         sigismember(&blocked, SIGINT) == 1;
}

// In a process of its own: the signals stay blocked in this one's threads.
int InstallAndStop(int signal_number) {
  InstallStopSignals();
  bool is_blocked_in_others = false;
  std::thread([&] { is_blocked_in_others = AreBlockedHere(); }).join();
  if (!AreBlockedHere() || !is_blocked_in_others || IsStopRequested()) return 1;
  kill(getpid(), signal_number);
  const absl::Time limit = absl::Now() + absl::Minutes(1);
  while (!IsStopRequested() && absl::Now() < limit) absl::SleepFor(absl::Milliseconds(1));
  return IsStopRequested() ? 0 : 2;
}

TEST(StopSignalsTest, AreHeardAndInterruptNoThreadThatComputes) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const int number : {SIGUSR1, SIGTERM, SIGINT}) {
    EXPECT_EXIT(_exit(InstallAndStop(number)), testing::ExitedWithCode(0), "");
  }
}

TEST(StopSignalsTest, ASecondInterruptEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        InstallAndStop(SIGINT);
        kill(getpid(), SIGINT);
        absl::SleepFor(absl::Minutes(1));
        _exit(0);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace switchyard
