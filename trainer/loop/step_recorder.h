// What people watch a run by: metrics.jsonl, TensorBoard's events, Prometheus' metrics, the
// run's page and a warning when routing collapses, after every step. Rank 0, one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "common/prometheus/prometheus_exporter.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "trainer/live_page/trajectory_view.h"
#include "trainer/record/event_log.h"
#include "trainer/record/metrics.h"
#include "trainer/record/routing_alarms.h"
#include "trainer/record/run_folder.h"

namespace routewright {

class LiveState;

class StepRecorder {
 public:
  // A committed episode for people, control characters escaped; empty: none is shown.
  using DescribeEpisode = std::function<std::string(const Trajectory&)>;

  // Goes on with the run's files at `first_step`, or begins them. `exporter` and `live_state`
  // may be nullptr; they, `files` and `config` must outlive this object.
  static absl::StatusOr<StepRecorder> Open(FileSystem& files, const RunFolderFiles& folder,
                                           const RunConfig& config, int64_t first_step,
                                           DescribeEpisode describe_episode,
                                           PrometheusExporter* exporter, LiveState* live_state);

  // `trajectories` are the step's, committed; `advantages_of` says what they were learnt with.
  absl::Status Record(int64_t step, const Metrics& metrics,
                      std::span<const Trajectory> trajectories, const AdvantagesOf& advantages_of);
  // An evaluation after the last of `steps_done` steps.
  absl::Status RecordEvaluation(int64_t steps_done, const Metrics& metrics,
                                std::span<const Trajectory> trajectories);

 private:
  void WatchRouting(int64_t step, const Metrics& metrics);
  absl::Status Write(int64_t step, const Metrics& metrics,
                     std::span<const Trajectory> trajectories);
  StepRecorder(const RunConfig& config, MetricsLog metrics_log, DescribeEpisode describe_episode,
               PrometheusExporter* exporter, LiveState* live_state);
  StepEvents MakeEvents(std::span<const Trajectory> trajectories) const;

  const RunConfig* config_;
  MetricsLog metrics_log_;
  DescribeEpisode describe_episode_;
  std::optional<EventLog> event_log_;
  PrometheusExporter* exporter_;
  LiveState* live_state_;
  CollapseAlarm collapse_alarm_;
  LostModelAlarm lost_model_alarm_;
};

}  // namespace routewright
