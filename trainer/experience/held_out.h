// The held-out questions, when a training evaluates its policy on them, and what came of it: what
// the best checkpoints are chosen by. Rank 0, one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/checkpoint.pb.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "trainer/record/metrics.h"

namespace routewright {

class HeldOut {
 public:
  HeldOut() = default;  // a training that evaluates nothing
  // trainer.evaluate_questions of them, drawn evenly over the data sources, the same at every evaluation
  // of every run; reads nothing if trainer.evaluate_every is 0. Fails: as LoadDatasets and WorkerConfigDigest do.
  static absl::StatusOr<HeldOut> Load(const RunConfig& config);

  const std::vector<Question>& questions() const { return questions_; }
  // Whether step `step` (0, 1, …) has workers run the questions beside its own episodes, with the
  // weights that it begins with: every trainer.evaluate_every steps, unless IsDone(step).
  bool IsDueIn(int64_t step) const;
  // Whether the final weights are evaluated: no further step begins with them.
  bool IsDueAfterLast() const { return every_ > 0; }

  // Whether the weights after `step` steps were evaluated, under the settings of today.
  bool IsDone(int64_t step) const;

  // Keeps the evaluation/ metrics among `metrics`, of the weights after `step` steps; nothing if
  // no episode had a verdict.
  void Record(int64_t step, const Metrics& metrics);
  // What was kept of the weights after `step` steps, by name; empty: nothing.
  Metrics MetricsOf(int64_t step) const;

  void Save(LearnerState& state) const { *state.mutable_evaluations() = results_; }
  void Restore(const LearnerState& state) { results_ = state.evaluations(); }

 private:
  int every_ = 0;  // steps; 0: never
  std::vector<Question> questions_;
  uint64_t settings_digest_ = 0;  // of all that the metrics depend on besides the weights
  google::protobuf::RepeatedPtrField<EvaluationResult> results_;
};

}  // namespace routewright
