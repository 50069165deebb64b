#include "rollout_workers/worker/learner_retry.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>

namespace routewright {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(1);

}  // namespace

bool IsTransportFailure(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

absl::Status RetryTransportFailures(const std::function<absl::Status()>& attempt,
                                    absl::Duration patience, std::stop_token stop) {
  std::minstd_rand random(
      std::random_device{}());  // jitter only: nothing that is recorded depends on it
  std::uniform_real_distribution<double> jitter(0.5, 1.0);
  absl::Time give_up = absl::InfiniteFuture();
  for (absl::Duration pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    absl::Status status = attempt();
    if (!IsTransportFailure(status)) return status;
    const absl::Time now = absl::Now();
    if (give_up == absl::InfiniteFuture()) give_up = now + patience;
    if (now >= give_up) return status;
    PauseUnlessStopped(std::min(pause * jitter(random), give_up - now), stop);
    if (stop.stop_requested()) return absl::CancelledError("the worker is leaving");
  }
}

void PauseUnlessStopped(absl::Duration duration, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, absl::ToChronoNanoseconds(duration), [] { return false; });
}

}  // namespace routewright
