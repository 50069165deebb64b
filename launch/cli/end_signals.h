// SIGINT, SIGTERM and SIGUSR1 for commands that end cleanly when asked: a worker gives its episodes
// back, an evaluation stops between turns.
#pragma once

#include <signal.h>

#include <functional>
#include <thread>

namespace routewright {

// Blocks these signals in this thread and in all that it starts afterwards: construct it before any
// other thread, and outlive what `on_first` touches. The first signal calls `on_first` on a thread
// of its own; a second SIGINT or SIGTERM ends the process at once, with exit code 1. SIGUSR1 asks
// and never hurries: Slurm's step daemon and the process's launcher may both send it.
class EndSignals {
 public:
  explicit EndSignals(std::function<void()> on_first);
  ~EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

 private:
  void Wait(std::stop_token stop);

  const std::function<void()> on_first_;
  sigset_t signals_;
  std::jthread waiter_;  // last: it uses the others
};

}  // namespace routewright
