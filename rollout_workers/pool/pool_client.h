// Calls the pool's models for many episodes at once. The worker's one loop starts calls, steps its
// generator, and takes the finished calls; it never waits for a single one. Every call is metered
// and written to the ledger before its reply is handed out. Implementations: HttpPoolClient
// (http_pool_client.h), FakePool (tests).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/episode.pb.h"

namespace routewright {

// One call that an episode's policy asked for.
struct PoolRequest {
  std::string call_id;  // episode_id "/" attempt "/" round
  std::string episode_id;
  int round = 0;
  std::string model;       // listed name, as in PoolModelConfig.name
  std::string prompt;      // the whole user message, pool template applied; any bytes
  bool is_traced = false;  // the call's spans are wanted
};

// Thread-safe. Destroying a client cancels what is under way.
class PoolClient {
 public:
  virtual ~PoolClient() = default;

  // Queues a call; it ends in TakeFinished exactly once, whatever happens to it. Fails:
  // kInvalidArgument (no such model), kAlreadyExists (a call of this id is under way), or status()
  // once that is not OK; then nothing is queued. The queue is as long as its caller makes it: a
  // worker has at most one call per episode.
  virtual absl::Status Start(PoolRequest request) = 0;

  // Ends a call as soon as possible: it comes out of TakeFinished as CANCELLED, or as what it
  // became before. What was spent on it stays counted. Unknown ids are ignored.
  virtual void Cancel(const std::string& call_id) = 0;

  // The calls that finished since the last one, oldest first. With none: waits up to `wait` for one
  // or for Wake(). absl::ZeroDuration() only looks.
  virtual std::vector<PoolCall> TakeFinished(absl::Duration wait) = 0;

  // Ends the TakeFinished that waits now, or else the next one, without a call:
  // something else needs the loop.
  virtual void Wake() = 0;

  // Not OK once the ledger could not be written: the reply that it was about is withheld (its
  // outcome is UNAVAILABLE), later calls are refused, and the worker must stop, because it
  // could no longer account for what it spends. Or once the budget is spent,
  // kResourceExhausted: later calls are refused.
  virtual absl::Status status() const = 0;
};

// True for the outcomes that are failures outside the policy: the episode is POOL_FAILED, never
// scored. OK, TRUNCATED, REFUSED and TOO_LONG are answers that the policy sees; CANCELLED is neither.
inline bool IsPoolFailure(CallOutcome outcome) {
  return outcome == CALL_OUTCOME_RATE_LIMITED || outcome == CALL_OUTCOME_UNAVAILABLE ||
         outcome == CALL_OUTCOME_TIMED_OUT || outcome == CALL_OUTCOME_REJECTED ||
         outcome == CALL_OUTCOME_MALFORMED;
}

}  // namespace routewright
