// The one place where calls to the learner are tried again: only what failed in
// transport, with jittered, growing pauses, and only for so long. Every call of the
// learner's service is idempotent.
#pragma once

#include <functional>
#include <stop_token>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace routewright {

// Whether trying again can help: kUnavailable, kDeadlineExceeded.
bool IsTransportFailure(const absl::Status& status);

// Runs `attempt` until it does not fail in transport, and returns its status. Gives up `patience`
// after the first failure, with the last one's status, or, when `stop` is requested, with
// kCancelled. Pauses grow from 0.1 s to 1 s.
absl::Status RetryTransportFailures(const std::function<absl::Status()>& attempt,
                                    absl::Duration patience, std::stop_token stop);

// Waits for `duration` or until `stop` is requested.
void PauseUnlessStopped(absl::Duration duration, std::stop_token stop);

}  // namespace routewright
