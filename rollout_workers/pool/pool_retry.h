// What became of one attempt of a pool call, and whether and when it is tried
// again. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "rollout_workers/pool/protocols/pool_protocol.h"

namespace routewright {

// How the exchange itself ended, whatever was said in it.
enum class TransportEnd {
  kWhole,        // a response came, to its end
  kUnreachable,  // no connection: unknown host, refused
  kTimedOut,     // connecting or the attempt took too long
  kBroken,       // reset, or closed in the middle
  kTooLarge,     // the response passed the size limit and was cut off
  kNotAllowed,   // will never work: bad certificate, unsupported protocol
};

struct AttemptResult {
  TransportEnd end = TransportEnd::kWhole;
  std::string transport_error;  // libcurl's words; empty if the exchange was whole
  int http_status = 0;          // 0 without a response
  std::string retry_after;      // header values, empty if absent
  std::string retry_after_ms;
  PoolReply reply;            // of a 200
  std::string error_message;  // of another status: the protocol's ErrorMessage of its body
};

struct AttemptVerdict {
  CallOutcome outcome = CALL_OUTCOME_UNSPECIFIED;
  bool may_retry = false;
  std::optional<absl::Duration> retry_after;  // the server's wish
  std::string error;                          // one clause when the outcome is a failure
};

// OK and TRUNCATED come from whole replies alone; REFUSED and TOO_LONG also from a 400, 413, 422 or 500 that
// blames the query, which is not retried. Retried: 408, 409, 425, 429, 5xx, 402
// with Retry-After, no connection, a time-out, a reply that broke off. Not retried: other 4xx,
// redirects (refused: the key would go along), and a 200 that is no chat completion, which was
// perhaps paid for and would come again.
AttemptVerdict JudgeAttempt(const AttemptResult& result, absl::Time now);

// retry-after-ms (milliseconds) goes before Retry-After (seconds or an HTTP date). Negative and
// unreadable values count as absent, a date in the past as zero.
std::optional<absl::Duration> ParseRetryAfter(std::string_view retry_after,
                                              std::string_view retry_after_ms, absl::Time now);

// Decorrelated jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): uniform in [base, 3 ×
// previous pause), at most retry_max_s. `previous` is zero before the first retry, and counts as
// the base then. The draw is number `attempts` of the stream `key`.
absl::Duration JitteredPause(const PoolConfig& config, uint64_t key, int attempts,
                             absl::Duration previous);

// The pause before the next attempt after `attempts` of them; nullopt to give up: not to be
// retried, max_retries used up, or the pause (the server's wish if it has one, else the jittered
// one) would not end before the call's deadline, `left` from now.
std::optional<absl::Duration> PauseBeforeRetry(const PoolConfig& config,
                                               const AttemptVerdict& verdict, int attempts,
                                               absl::Duration jittered, absl::Duration left);

}  // namespace routewright
