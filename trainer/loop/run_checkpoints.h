// When and with what rank 0 saves: begins a checkpoint, looks after its writing between steps, and
// knows which steps are safe. Each rank's part is trainer/loop/state_saver's. Rank 0, one thread.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "policy/model/model_config.h"
#include "proto/checkpoint.pb.h"
#include "trainer/loop/followers.h"
#include "trainer/loop/learner.h"
#include "trainer/loop/state_saver.h"
#include "trainer/record/metrics.h"

namespace routewright {

class RunCheckpoints {
 public:
  // `parts`, `saver` and `followers` must outlive this object.
  RunCheckpoints(const LearnerParts& parts, const ModelConfig& model, StateSaver* saver,
                 Followers* followers);

  void GoOnFrom(int64_t step) { saved_step_ = step; }
  // Whether the newest checkpoint, durable or being written, is of `step`.
  bool IsSaved(int64_t step) const { return saved_step_ == step; }

  // Waits for the save before, tells every rank to save, and returns once they have copies.
  absl::Status Save(int64_t step, int64_t policy_version, const LearnerState& state);
  // Between steps. Fails, if a rank cannot write, with that rank's reason. Collective.
  absl::Status Check(int64_t step);
  // Returns once the last checkpoint is durable. Fails as Check does. Collective.
  absl::Status Finish(int64_t step);

  // The step before which the journal is no longer needed: that of the second newest durable
  // checkpoint, for the newest might turn out damaged. Told once; unset: nothing new.
  std::optional<int64_t> TakeSupersededStep();
  // Metrics of the saves since the last call.
  void AddMetrics(Metrics& metrics);

 private:
  absl::StatusOr<CheckpointTexts> MakeTexts(int64_t step, int64_t policy_version,
                                            const LearnerState& state) const;

  const LearnerParts& parts_;
  const ModelConfig model_;
  StateSaver* const saver_;
  Followers* const followers_;
  int64_t saved_step_ = -1;        // of the newest checkpoint that this run has, or writes
  int64_t durable_step_ = -1;      // of the newest one that is known to be durable
  std::optional<double> stall_s_;  // for the save since the last AddMetrics
};

}  // namespace routewright
