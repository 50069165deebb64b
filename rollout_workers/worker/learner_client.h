// The worker's end of the two wires to the learner (proto/learner_service.proto), without saying
// how they are made. ConnectToLearner speaks gRPC; tests may do without.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/secret.h"
#include "proto/learner_service.pb.h"
#include "rollout_workers/worker/learner_address.h"

namespace routewright {

// Every call blocks at most the RPC timeout (LeaseEpisodes: its wait_ms longer) and is idempotent.
// Transport failures are kUnavailable or kDeadlineExceeded: try again (learner_retry.h).
// Thread-safe.
class LearnerClient {
 public:
  virtual ~LearnerClient() = default;

  // Goes to where the learner is now, which the other calls then do too. Fails:
  // kFailedPrecondition if the learner runs with another config.
  virtual absl::StatusOr<RegisterResponse> Register(const RegisterRequest& request) = 0;
  virtual absl::StatusOr<LeaseResponse> LeaseEpisodes(const LeaseRequest& request) = 0;
  virtual absl::StatusOr<SubmitResponse> SubmitTrajectories(const SubmitRequest& request) = 0;
  // Fails: kNotFound if the learner does not have the version (any more).
  virtual absl::StatusOr<WeightManifest> GetWeightManifest(int64_t policy_version) = 0;
  // Hands every chunk to `take`, in order, until the stream ends, `take` fails (its status is
  // returned) or the RPC timeout has passed: then ask again from where it stopped.
  using TakeChunk = std::function<absl::Status(const WeightChunk& chunk)>;
  virtual absl::Status FetchWeights(const FetchWeightsRequest& request, const TakeChunk& take) = 0;

  // Ends the calls under way; they and all later ones fail with kCancelled.
  virtual void Shutdown() = 0;
  // The one call that works after Shutdown: gives back what a worker holds as it
  // leaves. At most `timeout`.
  virtual absl::Status SubmitOnLeaving(const SubmitRequest& request, absl::Duration timeout) = 0;
};

// A client of the learner at `address`, which shows the run's token. Connects at the first call.
// Once the address is another, calls under way and later ones fail with kUnavailable until
// Register. No errors here: calls report them, kUnauthenticated if the token is another.
std::unique_ptr<LearnerClient> ConnectToLearner(LearnerAddress address, const Secret& token,
                                                absl::Duration rpc_timeout);

}  // namespace routewright
