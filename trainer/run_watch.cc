#include "trainer/run_watch.h"

#include <utility>

#include "common/status_macros.h"

namespace switchyard {
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

absl::StatusOr<RunWatch> RunWatch::Open(FileSystem& files, const RunFolderFiles& folder,
                                        const RunConfig& config, int64_t first_step,
                                        DescribeEpisode describe_episode) {
  SY_ASSIGN_OR_RETURN(MetricsLog metrics_log,
                      MetricsLog::Open(files, folder.metrics(), first_step));
  RunWatch watch(config, std::move(metrics_log), std::move(describe_episode));
  if (config.trainer().tensorboard()) {
    SY_ASSIGN_OR_RETURN(watch.event_log_, EventLog::Open(files, folder.folder(), first_step));
  }
  return watch;
}

absl::Status RunWatch::Record(int64_t step, const Metrics& metrics,
                              std::span<const Trajectory> trajectories) {
  SY_RETURN_IF_ERROR(metrics_log_.Write(step, metrics));
  if (!event_log_.has_value()) return absl::OkStatus();
  return event_log_->Write(step, metrics, MakeEvents(trajectories));
}

StepEvents RunWatch::MakeEvents(std::span<const Trajectory> trajectories) const {
  StepEvents events{.trajectories = trajectories, .tag_of_text = "", .text = ""};
  if (!describe_episode_) return events;
  if (const Trajectory* shown = ChooseShown(trajectories, *config_)) {
    events.tag_of_text =
        shown->purpose() == PURPOSE_EVAL ? "evaluation/trajectory" : "episode/trajectory";
    events.text = describe_episode_(*shown);
  }
  return events;
}

}  // namespace switchyard
