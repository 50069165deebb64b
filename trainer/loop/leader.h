// Rank 0's part of a run: see the drawing in trainer/loop/learner.h. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/checkpoint.pb.h"
#include "trainer/algorithm/kl_controller.h"
#include "trainer/loop/batch_source.h"
#include "trainer/loop/followers.h"
#include "trainer/loop/learner.h"
#include "trainer/loop/run_checkpoints.h"
#include "trainer/loop/state_saver.h"
#include "trainer/loop/step_message.h"
#include "trainer/loop/step_recorder.h"
#include "trainer/loop/step_tracer.h"
#include "trainer/record/metrics.h"
#include "trainer/record/progress.h"
#include "trainer/record/run_folder.h"
#include "trainer/update/policy_update.h"

namespace routewright {

class Leader {
 public:
  // `parts`, `update` and `saver` must outlive the leader.
  Leader(const LearnerParts& parts, const ModelConfig& model, PolicyUpdate* update,
         StateSaver* saver);

  // Loads the data, takes up the manifest's state (nullptr: a fresh run), opens the trajectory
  // source and publishes the first weights. Fails: as the datasets do; kFailedPrecondition if the
  // checkpoint was made with other data.
  absl::Status Start(const CheckpointManifest* manifest);
  // Steps until the end or a stop signal, saves, and tells the other ranks.
  absl::StatusOr<RunOutcome> Run();
  // Before, in or after Start and Run: the run ends for this reason, says its record.
  void RecordFailure(const absl::Status& why);

 private:
  absl::Status OpenBatches();
  absl::Status RestoreState(const CheckpointManifest& manifest);
  LearnerState CaptureState() const;

  // False: a stop signal came and the step was given up; nothing was changed.
  absl::StatusOr<bool> MakeStep();
  // The weights after the last step, on the held-out questions. That it is left out, because a stop
  // signal came or the budget is spent, costs the run nothing else.
  absl::Status EvaluateLast();
  // An evaluation's line and what is shown of it; `metrics` are its metrics.
  absl::Status RecordEvaluation(Metrics metrics, std::span<const Trajectory> trajectories);
  // The steps that were made are whole: saved, the run goes on once the cause is mended.
  absl::Status FailSaved(const absl::Status& why);
  absl::Status RecordStep(const Metrics& metrics, std::span<const Trajectory> trajectories,
                          const AdvantagesOf& advantages_of);
  absl::Status Publish();
  absl::Status SaveCheckpoint();
  absl::Status ForgetJournal();
  absl::Status FinishTrace();
  absl::StatusOr<RunOutcome> Stop(bool is_preempted);
  TrajectorySource* trajectory_source() const {
    return batches_ ? batches_->trajectory_source() : nullptr;
  }
  Progress* progress() { return progress_ ? &*progress_ : nullptr; }

  const LearnerParts& parts_;
  const RunConfig& config_;
  const ModelConfig model_;
  PolicyUpdate* const update_;
  RunFolderFiles folder_;
  KlController kl_;
  std::optional<StepRecorder> recorder_;
  std::optional<Progress> progress_;
  StepTracer tracer_;
  Followers followers_;
  RunCheckpoints checkpoints_;
  std::unique_ptr<BatchSource> batches_;  // from Start on

  int64_t step_ = 0;    // steps done
  LearnerState state_;  // after step_ steps: what a checkpoint made now holds
};

}  // namespace routewright
