#include "trainer/loop/stop_signals.h"

#include <signal.h>

#include <atomic>
#include <initializer_list>
#include <thread>

namespace routewright {
namespace {

std::atomic<bool> is_requested{false};

sigset_t SetOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals) sigaddset(&set, signal);
  return set;
}

void WaitForSignals(sigset_t awaited) {
  int signal = 0;
  while (sigwait(&awaited, &signal) == 0) {
    is_requested = true;
    if (signal != SIGINT) continue;
    // A second Ctrl-C has its usual effect.
    sigdelset(&awaited, SIGINT);
    const sigset_t interrupt = SetOf({SIGINT});
    pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);
  }
}

}  // namespace

void InstallStopSignals() {
  static std::atomic<bool> is_installed{false};
  if (is_installed.exchange(true)) return;
  const sigset_t stops = SetOf({SIGUSR1, SIGTERM, SIGINT});
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  std::thread(WaitForSignals, stops).detach();  // as long as the process
}

bool IsStopRequested() { return is_requested; }

}  // namespace routewright
