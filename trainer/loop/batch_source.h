// Where a training's batches come from: episodes that workers run (episode_collector), or recorded
// ones (demonstration_source). Rank 0, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/checkpoint.pb.h"
#include "trainer/experience/batch.h"
#include "trainer/experience/trajectory_source.h"
#include "trainer/record/metrics.h"
#include "trainer/record/progress.h"

namespace routewright {

// A step's batch and what is known about it before the update.
struct Collected {
  Batch batch;
  Metrics metrics;
  std::vector<Trajectory> trajectories;
  std::vector<size_t> places;  // [B] of the batch's trajectories in these
};

class BatchSource {
 public:
  virtual ~BatchSource() = default;

  virtual void Save(LearnerState& state) const = 0;
  // Fails: kFailedPrecondition if the state was made with other data.
  virtual absl::Status Restore(const LearnerState& state) = 0;

  // Before the first batch; not for a run that has all its steps.
  virtual absl::Status Open() { return absl::OkStatus(); }
  // The batch of step `step`. `progress` may be nullptr. Fails: kCancelled if a stop signal came
  // and the step was given up.
  virtual absl::StatusOr<Collected> Collect(int64_t step, bool is_traced, Progress* progress) = 0;

  // Who is given the weights of every step; nullptr: nobody, or nobody yet.
  virtual TrajectorySource* trajectory_source() const { return nullptr; }
  // Of all pool calls of committed episodes.
  virtual int64_t cost_picousd() const { return 0; }

  // Whether the weights after the last step are evaluated.
  virtual bool EvaluatesLast() const { return false; }
  // The held-out questions with the weights after `step` steps, the last. Unset: it was left out,
  // because a stop signal came or the budget is spent; the log says so, and nothing else is lost.
  virtual absl::StatusOr<std::optional<std::vector<Trajectory>>> EvaluateLast(
      int64_t /*step*/, Progress* /*progress*/) {
    return std::nullopt;
  }
  // Metrics of the evaluation that was made of the weights after `step` steps; none: none was.
  virtual Metrics EvaluationAt(int64_t /*step*/) const { return {}; }
};

}  // namespace routewright
