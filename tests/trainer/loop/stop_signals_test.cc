#include "trainer/loop/stop_signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "absl/time/clock.h"

namespace routewright {
namespace {

bool Blocks(int signal) {
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return sigismember(&blocked, signal) == 1;
}

bool IsRequestedSoon() {
  const absl::Time limit = absl::Now() + absl::Seconds(60);
  while (!IsStopRequested() && absl::Now() < limit) std::this_thread::yield();
  return IsStopRequested();
}

TEST(StopSignalsTest, ASignalAsksToStopAndInterruptsNoThreadThatComputes) {
  InstallStopSignals();
  InstallStopSignals();  // twice does no harm
  EXPECT_FALSE(IsStopRequested());
  bool does_later_thread_block = false;
  std::thread([&] { does_later_thread_block = Blocks(SIGUSR1) && Blocks(SIGTERM); }).join();
  EXPECT_TRUE(does_later_thread_block);
  EXPECT_TRUE(Blocks(SIGUSR1) && Blocks(SIGTERM) && Blocks(SIGINT));
  kill(getpid(), SIGUSR1);
  EXPECT_TRUE(IsRequestedSoon());
  kill(getpid(), SIGTERM);  // asks for nothing more
  EXPECT_TRUE(IsStopRequested());
}

TEST(StopSignalsDeathTest, ASecondCtrlCEndsTheProcess) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(
      {
        InstallStopSignals();
        kill(getpid(), SIGINT);
        if (!IsRequestedSoon()) _exit(3);
        // Taken off soon after the first was heard.
        for (int i = 0; i < 10000; ++i) {
          kill(getpid(), SIGINT);
          absl::SleepFor(absl::Milliseconds(1));
        }
        _exit(4);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace routewright
