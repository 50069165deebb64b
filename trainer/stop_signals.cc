#include "trainer/stop_signals.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <thread>

namespace switchyard {
namespace {

std::atomic<bool> is_requested{false};

// Takes the signals for the whole process, until it ends.
void Wait(sigset_t signals) {
  for (bool is_interrupted = false;;) {
    int signal_number = 0;
    sigwait(&signals, &signal_number);
    is_requested.store(true, std::memory_order_relaxed);
    if (signal_number == SIGINT && is_interrupted) {
      signal(SIGINT, SIG_DFL);
      pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
      raise(SIGINT);
    }
    is_interrupted = is_interrupted || signal_number == SIGINT;
  }
}

}  // namespace

void InstallStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGUSR1, SIGTERM, SIGINT}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread(Wait, signals).detach();  // it owns nothing, and ends with the process
}

bool IsStopRequested() { return is_requested.load(std::memory_order_relaxed); }

}  // namespace switchyard
