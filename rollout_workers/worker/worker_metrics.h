// What a worker shows Prometheus (common/prometheus/prometheus_exporter): what it ran and spent since its
// process began, and how long it waited for leases. Thread-safe.
#pragma once

#include <span>
#include <string>

#include "absl/time/time.h"
#include "common/prometheus/prometheus_exporter.h"
#include "proto/episode.pb.h"

namespace routewright {

class WorkerMetrics {
 public:
  // `exporter` may be nullptr, then nothing is shown; else it must outlive this object.
  explicit WorkerMetrics(PrometheusExporter* exporter);

  // Called by the lease thread, about once a second.
  void ShowLeases(int num_active, absl::Duration waited_for_lease);
  void CountLeaseFailure();
  void ShowPolicyVersion(int64_t policy_version);
  // Trajectories that the learner has acknowledged, each once.
  void CountEpisode(const Trajectory& trajectory);

 private:
  PrometheusExporter* const exporter_;
  absl::Duration waited_for_lease_;  // the lease thread's
};

}  // namespace routewright
