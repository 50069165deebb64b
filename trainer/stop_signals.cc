#include "trainer/stop_signals.h"

#include <signal.h>

#include <atomic>

namespace switchyard {
namespace {

std::atomic<bool> is_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "used in a signal handler");

void OnSignal(int /*signal*/) { is_requested.store(true, std::memory_order_relaxed); }

}  // namespace

void InstallStopSignals() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  // Taken off as it runs: a second Ctrl-C has its usual effect.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
}

bool IsStopRequested() { return is_requested.load(std::memory_order_relaxed); }

}  // namespace switchyard
