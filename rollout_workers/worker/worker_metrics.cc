#include "rollout_workers/worker/worker_metrics.h"

#include <string_view>

#include "common/money/money.h"

namespace routewright {
WorkerMetrics::WorkerMetrics(PrometheusExporter* exporter) : exporter_(exporter) {
  ShowLeases(0, absl::ZeroDuration());
}

void WorkerMetrics::ShowLeases(int num_active, absl::Duration waited_for_lease) {
  if (exporter_ == nullptr) return;
  exporter_->SetGauge("routewright_worker_active_episodes",
                      "Episodes that were leased and not acknowledged.", {}, num_active);
  exporter_->Count("routewright_worker_wait_for_lease_seconds_total",
                   "In which the worker had no episode: the learner side is the slower one.", {},
                   absl::ToDoubleSeconds(waited_for_lease - waited_for_lease_));
  waited_for_lease_ = waited_for_lease;
}

void WorkerMetrics::CountLeaseFailure() {
  if (exporter_ == nullptr) return;
  exporter_->Count("routewright_worker_lease_failures_total",
                   "Lease requests that the learner did not answer.", {}, 1);
}

void WorkerMetrics::ShowPolicyVersion(int64_t policy_version) {
  if (exporter_ == nullptr) return;
  exporter_->SetGauge("routewright_worker_policy_version", "Of the weights that came last.", {},
                      static_cast<double>(policy_version));
}

void WorkerMetrics::CountEpisode(const Trajectory& trajectory) {
  if (exporter_ == nullptr) return;
  exporter_->Count(
      "routewright_worker_episodes_total", "Episodes that the learner acknowledged.",
      {{"status", EnumLabel(EpisodeStatus_Name(trajectory.status()), "EPISODE_STATUS_")}}, 1);
  double policy_tokens = 0;
  for (const int provenance : trajectory.provenance()) {
    policy_tokens += provenance == PROVENANCE_POLICY;
  }
  exporter_->Count("routewright_worker_policy_tokens_total", "Tokens sampled in these episodes.",
                   {}, policy_tokens);
  for (const PoolCall& call : trajectory.pool_calls()) {
    exporter_->Count("routewright_worker_pool_calls_total", "Pool calls of these episodes.",
                     {{"model", call.model()},
                      {"outcome", EnumLabel(CallOutcome_Name(call.outcome()), "CALL_OUTCOME_")}},
                     1);
    exporter_->Count("routewright_worker_pool_call_seconds_total",
                     "From first attempt to last byte, retries and their pauses included.",
                     {{"model", call.model()}}, call.latency_ms() * 1e-3);
    exporter_->Count("routewright_worker_pool_spend_usd_total", "Dollars spent on these calls.",
                     {{"model", call.model()}}, PicousdToUsd(call.cost_picousd()));
  }
}

}  // namespace routewright
