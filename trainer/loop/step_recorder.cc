#include "trainer/loop/step_recorder.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/status_macros.h"
#include "trainer/live_page/live_state.h"
#include "trainer/record/prometheus_metrics.h"

namespace routewright {
namespace {

// The first that was evaluated, or else the first that is recorded; nullptr: none.
const Trajectory* ChooseShown(std::span<const Trajectory> trajectories, const RunConfig& config) {
  const Trajectory* recorded = nullptr;
  for (const Trajectory& trajectory : trajectories) {
    if (trajectory.purpose() == PURPOSE_EVAL) return &trajectory;
    if (recorded == nullptr &&
        IsRecorded(trajectory, config.trainer().record_trajectories(), config.run().seed())) {
      recorded = &trajectory;
    }
  }
  return recorded;
}

}  // namespace

StepRecorder::StepRecorder(const RunConfig& config, MetricsLog metrics_log,
                           DescribeEpisode describe_episode, PrometheusExporter* exporter,
                           LiveState* live_state)
    : config_(&config),
      metrics_log_(std::move(metrics_log)),
      describe_episode_(std::move(describe_episode)),
      exporter_(exporter),
      live_state_(live_state),
      collapse_alarm_(config.pool().models_size() < 2 ? 0.0
                                                      : config.trainer().collapse_alarm_nats()),
      lost_model_alarm_(config.pool().models_size() < 2 ? 0.0
                                                        : config.trainer().lost_model_share()) {}

absl::StatusOr<StepRecorder> StepRecorder::Open(FileSystem& files, const RunFolderFiles& folder,
                                                const RunConfig& config, int64_t first_step,
                                                DescribeEpisode describe_episode,
                                                PrometheusExporter* exporter,
                                                LiveState* live_state) {
  RW_ASSIGN_OR_RETURN(MetricsLog metrics_log,
                      MetricsLog::Open(files, folder.metrics(), first_step));
  StepRecorder watch(config, std::move(metrics_log), std::move(describe_episode), exporter,
                     live_state);
  if (live_state != nullptr) {
    RW_RETURN_IF_ERROR(live_state->Begin(files, folder.metrics(), first_step));
  }
  if (exporter != nullptr) ShowStart(first_step, config.trainer().steps(), *exporter);
  if (config.trainer().tensorboard()) {
    RW_ASSIGN_OR_RETURN(watch.event_log_, EventLog::Open(files, folder.folder(), first_step));
  }
  return watch;
}

absl::Status StepRecorder::Record(int64_t step, const Metrics& metrics,
                                  std::span<const Trajectory> trajectories,
                                  const AdvantagesOf& advantages_of) {
  RW_RETURN_IF_ERROR(Write(step, metrics, trajectories));
  if (live_state_ != nullptr) live_state_->Record(step, metrics, trajectories, advantages_of);
  if (exporter_ != nullptr) ShowStep(step, metrics, trajectories, *exporter_);
  if (metrics.Get("pool/calls") > metrics.Get("pool/trials")) WatchRouting(step, metrics);
  return absl::OkStatus();
}

void StepRecorder::WatchRouting(int64_t step, const Metrics& metrics) {
  if (collapse_alarm_.IsRaisedBy(metrics.Get("pool/share_entropy_nats"))) {
    LogWarning("step=", step, " share_entropy_nats=", metrics.Get("pool/share_entropy_nats"),
               " | routing collapses onto one model (trainer.collapse_alarm_nats)");
  }
  std::map<std::string, double> shares;
  for (const PoolModelConfig& model : config_->pool().models()) {
    shares[model.name()] = metrics.Get(absl::StrCat("pool/share:", model.name()));
  }
  for (const std::string& model : lost_model_alarm_.RaisedBy(shares)) {
    LogWarning("step=", step, " model=", model, " share=", shares[model],
               " | the policy hardly names this model any more; if it should, raise "
               "trainer.routing.trial_share (the warning: trainer.lost_model_share)");
  }
}

absl::Status StepRecorder::RecordEvaluation(int64_t steps_done, const Metrics& metrics,
                                            std::span<const Trajectory> trajectories) {
  RW_RETURN_IF_ERROR(Write(steps_done, metrics, trajectories));
  if (live_state_ != nullptr) live_state_->RecordEvaluation(steps_done, metrics, trajectories);
  if (exporter_ != nullptr) ShowEvaluation(metrics, trajectories, *exporter_);
  return absl::OkStatus();
}

absl::Status StepRecorder::Write(int64_t step, const Metrics& metrics,
                                 std::span<const Trajectory> trajectories) {
  RW_RETURN_IF_ERROR(metrics_log_.Write(step, metrics));
  if (!event_log_.has_value()) return absl::OkStatus();
  return event_log_->Write(step, metrics, MakeEvents(trajectories));
}

StepEvents StepRecorder::MakeEvents(std::span<const Trajectory> trajectories) const {
  StepEvents events{.trajectories = trajectories, .tag_of_text = "", .text = ""};
  if (!describe_episode_) return events;
  if (const Trajectory* shown = ChooseShown(trajectories, *config_)) {
    events.tag_of_text =
        shown->purpose() == PURPOSE_EVAL ? "evaluation/trajectory" : "episode/trajectory";
    events.text = describe_episode_(*shown);
  }
  return events;
}

}  // namespace routewright
