#include "trainer/record/prometheus_metrics.h"

#include <array>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "common/absl_view.h"
#include "common/money/money.h"

namespace routewright {
namespace {

// Prometheus keeps the ending _count for histograms.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kRenamed = {{
    {"episode/count", "routewright_episodes"},
    {"evaluation/count", "routewright_evaluation_episodes"},
    {"workers/count", "routewright_workers"},
}};

void ShowMetrics(const Metrics& metrics, PrometheusExporter& exporter) {
  for (const auto& [name, value] : metrics.values()) {
    const PrometheusName to = PrometheusNameOf(name);
    const std::string metric = name.substr(0, name.find(':'));
    exporter.SetGauge(
        to.name, absl::StrCat(metric, " of the newest step that has it; see trainer/METRICS.md."),
        to.labels, value * to.scale);
  }
}

void ShowLastStepIsNow(PrometheusExporter& exporter) {
  exporter.SetGauge("routewright_last_step_timestamp_seconds",
                    "When the newest step was made, or else the run was started, since 1970.", {},
                    absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
}

void CountTrajectories(std::span<const Trajectory> trajectories, PrometheusExporter& exporter) {
  for (const Trajectory& trajectory : trajectories) {
    exporter.Count(
        "routewright_episodes_committed_total", "Episodes that were committed.",
        {{"purpose", EnumLabel(Purpose_Name(trajectory.purpose()), "PURPOSE_")},
         {"status", EnumLabel(EpisodeStatus_Name(trajectory.status()), "EPISODE_STATUS_")}},
        1);
    for (const PoolCall& call : trajectory.pool_calls()) {
      exporter.Count("routewright_pool_calls_total", "Pool calls of committed episodes.",
                     {{"model", call.model()},
                      {"outcome", EnumLabel(CallOutcome_Name(call.outcome()), "CALL_OUTCOME_")}},
                     1);
      exporter.Count("routewright_pool_spend_usd_total", "Dollars spent on committed episodes.", {},
                     PicousdToUsd(call.cost_picousd()));
    }
  }
}

}  // namespace

PrometheusName PrometheusNameOf(const std::string& metric) {
  for (const auto& [from, to] : kRenamed) {
    if (metric == from) return {std::string(to), {}};
  }
  PrometheusName result;
  const size_t colon = std::min(metric.find(':'), metric.size());
  result.name = absl::StrCat("routewright_",
                             absl::StrReplaceAll(AbslView(metric.substr(0, colon)), {{"/", "_"}}));
  if (colon < metric.size()) {
    const bool is_of_model = metric.substr(0, colon).ends_with("/share");
    result.labels = {{is_of_model ? "model" : "source", metric.substr(colon + 1)}};
    // Not the name of the metric over all sources, which a query for it would then find too.
    if (!is_of_model) result.name += "_by_source";
  }
  for (const auto& [unit, base, scale] : {std::tuple{"_per_s", "_per_second", 1.0},
                                          {"_ms", "_seconds", 1e-3},
                                          {"_s", "_seconds", 1.0}}) {
    if (!result.name.ends_with(unit)) continue;
    result.name.replace(result.name.size() - std::string_view(unit).size(), std::string::npos,
                        base);
    result.scale = scale;
    break;
  }
  return result;
}

void ShowUpdate(int64_t steps, double update_s, PrometheusExporter& exporter) {
  exporter.SetGauge("routewright_step", "Optimizer steps that the run has made.", {},
                    static_cast<double>(steps));
  exporter.Count("routewright_trainer_update_seconds_total", "Spent in updates by this rank.", {},
                 update_s);
}

void ShowStart(int64_t first_step, int64_t num_steps, PrometheusExporter& exporter) {
  ShowUpdate(first_step, 0.0, exporter);
  ShowLastStepIsNow(exporter);
  exporter.SetGauge("routewright_planned_steps", "Steps that the run is to make: trainer.steps.",
                    {}, static_cast<double>(num_steps));
}

void ShowWorkers(int num_workers, PrometheusExporter& exporter) {
  exporter.SetGauge("routewright_workers", "Workers heard of within a lease's timeout.", {},
                    num_workers);
}

void ShowEvaluation(const Metrics& metrics, std::span<const Trajectory> trajectories,
                    PrometheusExporter& exporter) {
  ShowMetrics(metrics, exporter);
  CountTrajectories(trajectories, exporter);
}

void ShowStep(int64_t step, const Metrics& metrics, std::span<const Trajectory> trajectories,
              PrometheusExporter& exporter) {
  ShowMetrics(metrics, exporter);
  ShowUpdate(step + 1, metrics.Get("step/update_s"), exporter);
  ShowLastStepIsNow(exporter);
  exporter.Count("routewright_trainer_wait_for_batch_seconds_total",
                 "Spent waiting for a batch's episodes.", {},
                 metrics.Get("trainer/wait_for_batch_s"));
  exporter.Count("routewright_trainer_publish_seconds_total", "Spent handing out weights.", {},
                 metrics.Get("step/publish_s"));
  exporter.Count("routewright_trained_tokens_total", "Tokens of all batches.", {},
                 metrics.Get("step/tokens"));
  CountTrajectories(trajectories, exporter);
}

}  // namespace routewright
