// A rollout worker: leases episodes from the learner, runs them with the weights that they ask for,
// and submits their trajectories until each is acknowledged. It may come and go at any time.
//
//   lease thread  ──leases───▶ WorkerExchange ──▶ episode loop ──trajectories──▶ submit thread
//   weight thread ──weights──▶      ″         ──▶  (the caller's thread)
//
// A learner that does not answer is waited for up to worker.reconnect_timeout_s. One that answers
// with another learner_epoch was started again: everything of the one before is dropped.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/model/parameter_layout.h"
#include "proto/config.pb.h"
#include "rollout_workers/worker/episode_loop.h"
#include "rollout_workers/worker/learner_client.h"
#include "rollout_workers/worker/worker_exchange.h"
#include "rollout_workers/worker/worker_metrics.h"

namespace routewright {

struct WorkerOptions {
  WorkerIdentity identity;
  uint64_t config_digest = 0;  // WorkerConfigDigest
  std::string code_version;
  WorkerConfig config;
  PrometheusExporter* exporter = nullptr;  // nullptr: no metrics are served
};

class Worker {
 public:
  // Everything that is pointed to must outlive the worker. `layout` is the policy's,
  // HeadKind::kLanguageModel.
  Worker(WorkerOptions options, const EpisodeContext* context, const ParameterLayout* layout,
         GeneratorFactory make_generator, PoolClient* pool, LearnerClient* learner);

  // Works until the learner says that the run is finished or Stop is called (Ok), or until it
  // cannot go on: no learner for reconnect_timeout_s (kUnavailable); another config
  // (kFailedPrecondition) or another policy than the learner's; a generator or a ledger that fails.
  // What it still holds is given back to the learner as it leaves. Once.
  absl::Status Run();

  // Makes Run return soon. Any thread, any time.
  void Stop();

 private:
  absl::Status Join(std::stop_token stop);
  void Leave();
  void LeaseLoop(std::stop_token stop);
  void WeightLoop(std::stop_token stop);
  void SubmitLoop(std::stop_token stop);
  absl::StatusOr<std::shared_ptr<const PolicyWeights>> FetchWeights(int64_t policy_version,
                                                                    std::stop_token stop);
  absl::Duration patience() const { return absl::Seconds(options_.config.reconnect_timeout_s()); }

  const WorkerOptions options_;
  const ParameterLayout* const layout_;
  LearnerClient* const learner_;
  WorkerExchange exchange_;
  EpisodeLoop loop_;
  WorkerMetrics metrics_;
  std::stop_source stop_;
  uint64_t learner_epoch_ = 0;  // Run's thread, then the lease thread
};

}  // namespace routewright
