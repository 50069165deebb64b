// What a trainer's rank shows Prometheus (common/prometheus/prometheus_exporter). Rank 0 shows every metric of
// metrics.jsonl, as a gauge of the newest step, and totals since its process began; the other ranks
// show how far they are. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/prometheus/prometheus_exporter.h"
#include "proto/episode.pb.h"
#include "trainer/record/metrics.h"

namespace routewright {

// A metric of metrics.jsonl as a Prometheus gauge.
struct PrometheusName {
  std::string name;                   // "routewright_pool_latency_mean_seconds"
  PrometheusExporter::Labels labels;  // of "pool/share:Atlas": {{"model", "Atlas"}}
  double scale = 1.0;                 // to base units: 0.001 of "pool/latency_mean_ms"
};
PrometheusName PrometheusNameOf(const std::string& metric);

// Every rank's: `steps` were made, this rank's last update took `update_s`.
void ShowUpdate(int64_t steps, double update_s, PrometheusExporter& exporter);

// Rank 0's, before the first step: `first_step` of `num_steps` were made.
void ShowStart(int64_t first_step, int64_t num_steps, PrometheusExporter& exporter);

// Rank 0's, also while it waits for episodes.
void ShowWorkers(int num_workers, PrometheusExporter& exporter);

// Rank 0's, after a step with these metrics and committed trajectories.
void ShowStep(int64_t step, const Metrics& metrics, std::span<const Trajectory> trajectories,
              PrometheusExporter& exporter);

// Rank 0's, after an evaluation that belongs to no step.
void ShowEvaluation(const Metrics& metrics, std::span<const Trajectory> trajectories,
                    PrometheusExporter& exporter);

}  // namespace routewright
