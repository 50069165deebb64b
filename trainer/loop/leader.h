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
#include "absl/time/time.h"
#include "common/money/pool_budget.h"
#include "proto/checkpoint.pb.h"
#include "trainer/algorithm/kl_controller.h"
#include "trainer/experience/demonstrations.h"
#include "trainer/experience/held_out.h"
#include "trainer/experience/question_source.h"
#include "trainer/experience/reward_composer.h"
#include "trainer/loop/followers.h"
#include "trainer/loop/learner.h"
#include "trainer/loop/run_checkpoints.h"
#include "trainer/loop/run_watch.h"
#include "trainer/loop/state_saver.h"
#include "trainer/loop/step_message.h"
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
  ~Leader();

  // Loads the data, takes up the manifest's state (nullptr: a fresh run), opens the trajectory
  // source and publishes the first weights. Fails: as the datasets do; kFailedPrecondition if the
  // checkpoint was made with other data.
  absl::Status Start(const CheckpointManifest* manifest);
  // Steps until the end or a stop signal, saves, and tells the other ranks.
  absl::StatusOr<RunOutcome> Run();
  // Before, in or after Start and Run: the run ends for this reason, says its record.
  void RecordFailure(const absl::Status& why);

 private:
  // A step's batch and what is known about it before the update.
  struct Collected {
    Batch batch;
    Metrics metrics;
    std::vector<Trajectory> trajectories;
    std::vector<size_t> places;  // [B] of the batch's trajectories in these
  };

  absl::Status LoadData();
  absl::Status RestoreState(const CheckpointManifest& manifest);
  LearnerState CaptureState() const;

  // False: a stop signal came and the step was given up; nothing was changed.
  absl::StatusOr<bool> MakeStep();
  absl::StatusOr<Collected> CollectDemonstrations();
  // Fails: kCancelled if the step was given up; kUnavailable if no episode of it can be learnt
  // from.
  absl::StatusOr<Collected> CollectEpisodes();
  absl::StatusOr<CollectedStep> CollectPlanned(const StepPlan& plan);
  // The weights after the last step, on the held-out questions. That it is left out, because a stop
  // signal came or the budget is spent, costs the run nothing else.
  absl::Status EvaluateLast();
  // An evaluation's line and what is shown of it; `metrics` are its figures.
  absl::Status RecordEvaluation(Metrics metrics, std::span<const Trajectory> trajectories);
  // The steps that were made are whole: saved, the run goes on once the cause is mended.
  absl::Status FailSaved(const absl::Status& why);
  bool ShouldGoOn(const CollectProgress& progress);
  void CommitTrajectories(std::vector<Trajectory>& trajectories);
  absl::Status CheckNotEmpty(const Collected& collected) const;
  absl::Status RecordStep(const Metrics& metrics, std::span<const Trajectory> trajectories,
                          const AdvantagesOf& advantages_of);
  absl::Status Publish();
  absl::Status SaveCheckpoint();
  absl::Status ForgetJournal();
  absl::Status FinishTrace();
  absl::StatusOr<RunOutcome> Stop(bool is_preempted);

  bool is_supervised() const;
  int64_t policy_version() const {
    return step_ + 1;
  }  // version 1 is the one that a run starts from

  const LearnerParts& parts_;
  const RunConfig& config_;
  const ModelConfig model_;
  PolicyUpdate* const update_;
  RunFolderFiles folder_;
  RewardComposer rewards_;
  KlController kl_;
  std::optional<QuestionSource> questions_;
  HeldOut held_out_;
  std::unique_ptr<Demonstrations> demonstrations_;
  std::unique_ptr<TrajectorySource> source_;
  std::optional<RunWatch> watch_;
  std::optional<Progress> progress_;
  StepTracer tracer_;
  PoolBudget budget_;
  Followers followers_;
  RunCheckpoints checkpoints_;

  int64_t step_ = 0;                  // steps done
  int64_t ledger_total_picousd_ = 0;  // of all committed episodes
  int64_t episodes_committed_ = 0;
  LearnerState state_;  // after step_ steps: what a checkpoint made now holds
  absl::Time last_owner_check_ = absl::InfinitePast();
  absl::Time stop_seen_ = absl::InfiniteFuture();
  absl::Status collect_status_;  // of what is looked after while episodes come in
};

}  // namespace routewright
