// Where a training on episodes gets its batches: draws a step's questions, has workers run their
// episodes, composes the rewards in episode order, and picks what can be learnt from. Also runs the
// held-out questions. Rank 0, one thread.
//
//   questions ─▶ StepPlan ─▶ TrajectorySource ─▶ trajectories ─▶ rewards, money ─▶ batch, metrics
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/model/model_config.h"
#include "trainer/experience/held_out.h"
#include "trainer/experience/question_source.h"
#include "trainer/experience/reward_composer.h"
#include "trainer/loop/batch_source.h"
#include "trainer/loop/collect_checks.h"
#include "trainer/loop/followers.h"
#include "trainer/loop/learner.h"
#include "trainer/record/run_folder.h"

namespace routewright {

class EpisodeCollector final : public BatchSource {
 public:
  // Reads the datasets. What it is given must outlive it. Fails as LoadDatasets does.
  static absl::StatusOr<std::unique_ptr<EpisodeCollector>> Load(const LearnerParts& parts,
                                                                const ModelConfig& model,
                                                                const RunFolderFiles* folder,
                                                                Followers* followers);
  ~EpisodeCollector() override;

  void Save(LearnerState& state) const override;
  absl::Status Restore(const LearnerState& state) override;
  // From now on workers may come.
  absl::Status Open() override;
  // The episodes of step `step`, at its policy version; the held-out questions too if they are due.
  // Fails: also kUnavailable if no episode can be learnt from; as CollectChecks and the source do.
  absl::StatusOr<Collected> Collect(int64_t step, bool is_traced, Progress* progress) override;
  TrajectorySource* trajectory_source() const override { return source_.get(); }
  int64_t cost_picousd() const override { return cost_picousd_; }
  bool EvaluatesLast() const override { return held_out_.IsDueAfterLast(); }
  absl::StatusOr<std::optional<std::vector<Trajectory>>> EvaluateLast(int64_t step,
                                                                      Progress* progress) override;
  Metrics EvaluationAt(int64_t step) const override { return held_out_.MetricsOf(step); }

 private:
  EpisodeCollector(const LearnerParts& parts, const ModelConfig& model,
                   const RunFolderFiles* folder, Followers* followers, std::vector<Question> train,
                   HeldOut held_out);

  absl::StatusOr<CollectedStep> AskQuestions(int64_t step, bool evaluates, bool is_traced,
                                             Progress* progress);
  void AddGroupMetrics(std::span<const Trajectory> trajectories, Metrics& metrics) const;
  // `fault` is what CollectChecks found, if that is why the episodes were given up.
  absl::StatusOr<CollectedStep> RunEpisodes(int64_t step, const StepPlan& plan, Progress* progress,
                                            absl::Status& fault);
  void Commit(std::vector<Trajectory>& trajectories);
  absl::Status CheckNotEmpty(int64_t step, const Collected& collected) const;
  // What a run's metrics say of workers, which differs from one run to the next.
  void AddFleetMetrics(const CollectedStep& step, Metrics& metrics) const;

  const LearnerParts& parts_;
  const RunConfig& config_;
  const int64_t vocabulary_size_;
  CollectChecks checks_;
  QuestionSource questions_;
  HeldOut held_out_;
  RewardComposer rewards_;
  std::unique_ptr<TrajectorySource> source_;
  int64_t cost_picousd_ = 0;
  int64_t episodes_committed_ = 0;
};

}  // namespace routewright
