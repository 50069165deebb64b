#include "launch/cli/end_signals.h"

#include <cstdlib>
#include <utility>

#include "launch/cli/command.h"

namespace routewright {

EndSignals::EndSignals(std::function<void()> on_first) : on_first_(std::move(on_first)) {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  waiter_ = std::jthread([this](std::stop_token stop) { Wait(stop); });
}

EndSignals::~EndSignals() {
  waiter_.request_stop();
  pthread_kill(waiter_.native_handle(), SIGTERM);  // ends its sigwait
}

void EndSignals::Wait(std::stop_token stop) {
  bool is_asked = false;
  for (int urgent = 0;;) {
    int signal_number = 0;
    sigwait(&signals_, &signal_number);
    if (stop.stop_requested()) return;
    if (signal_number != SIGUSR1 && ++urgent > 1) std::_Exit(kExitFailed);
    if (!is_asked) on_first_();
    is_asked = true;
  }
}

}  // namespace routewright
